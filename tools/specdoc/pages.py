# SPDX-License-Identifier: Apache-2.0
"""The reference pages: tables of uapi/spec turned into Markdown."""
import re

import spec

LAYOUT_HEADERS = ("npu_isa.h", "npu_queue.h", "npu_regs.h", "npu_accel.h", "npu_fw.h", "npu_wire.h")
IMMEDIATES = {"I": "imm", "F": "fp32", "O": "offset", "A": "arg", "C": "cond", "S": "sreg", "D": "tdesc", "M": "sem", "P": "format"}


def cell(text):
    return str(text).replace("|", "\\|") or " "


def table(head, body):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(cell(c) for c in row) + " |" for row in body]
    return "\n".join(lines) + "\n"


def page(title, source, *parts):
    note = f"<!-- Written by tools/specdoc from {source}. Edit that, then run tools/specdoc/specdoc.py. -->"
    return f"# {title}\n\n{note}\n\n" + "\n".join(parts)


def code(text):
    return f"`{text}`"


def enum_table(text, name, head):
    return table([head, "value", "meaning"], [(code(n), v, doc) for n, v, doc in spec.enum(text, name)])


# --- layouts ------------------------------------------------------------------------------------------------------

def all_layouts(root):
    """The structs of the uapi, their sizes compared with what the headers assert."""
    texts = [spec.read(root, "uapi/" + name) for name in LAYOUT_HEADERS]
    layouts = spec.Layouts(texts)
    for name, size in re.findall(r"^NPU_(?:UAPI|QUEUE_ASSERT|FW_ASSERT)_SIZE\((\w+), (\w+)\);", "\n".join(texts), re.MULTILINE):
        if layouts.size(name) != layouts.number(size):
            raise spec.SpecError(f"struct {name}: {layouts.size(name)} bytes by its members, {size} by its header")
    return layouts


def struct_table(layouts, name):
    rows = [(offset, size, code(member), doc) for offset, size, member, doc in layouts.members(name)]
    return table(["offset", "bytes", f"`struct {name}`, {layouts.size(name)} bytes", "meaning"], rows)


# --- isa ----------------------------------------------------------------------------------------------------------

def flag_names(mask):
    return "" if mask == "0" else mask.replace("NPU_F_", "").replace("_MASK", "").replace(" | ", ", ")


def operands(row):
    tiles = [n for n, kind in zip(("d", "a", "b", "c"), row[4:8]) if kind != "N"]
    registers = [f"r{i}{'=' if kind == 'W' else ''}" for i, kind in enumerate(row[8:12]) if kind != "N"]
    immediate = [IMMEDIATES[row[12]]] if row[12] != "N" else []
    return ", ".join(tiles + registers + immediate)


def isa_groups(text):
    """Yields (heading, rows) in the order of the table, split at its comments of the form '/* --- heading --- */'."""
    headings = [(m.start(), m.group(1)) for m in re.finditer(r"^/\* -+ (.*?) -+ \*/$", text, re.MULTILINE)]
    rows = list(spec.rows(text, "NPU_INSN", 15))
    for index, (start, heading) in enumerate(headings):
        end = headings[index + 1][0] if index + 1 < len(headings) else len(text)
        yield heading, [row for at, row in rows if start < at < end]


def sync_words(header):
    """The sentences of npu_isa.h on the bits of wait and signal words."""
    found = re.findall(r"^/\* ((?:wait|signal): .*?) \*/$", header, re.MULTILINE)
    if len(found) != 2:
        raise spec.SpecError("npu_isa.h no longer describes the wait and signal words in one line each")
    return "\n".join(f"- {sentence}" for sentence in found) + "\n"


def isa_page(root):
    text = spec.read(root, "uapi/spec/isa.def")
    header = spec.read(root, "uapi/npu_isa.h")
    layouts = all_layouts(root)
    groups = list(isa_groups(text))
    if sum(len(rows) for _, rows in groups) != len(list(spec.rows(text, "NPU_INSN", 15))):
        raise spec.SpecError("isa.def: a row stands before the first heading")
    parts = ["""How to read the tables. `d a b c` are tile descriptors (0..63), `r0..r3` scalar registers (0..31; register 0 reads as zero), `r0=` is written,
the others are read. Immediates: `imm` signed integer, `fp32` bits, `offset` branch distance in instructions, `arg` byte offset into the argument
block, `cond` condition, `sreg` special register, `tdesc` descriptor word, `sem` semaphore, `format` number of a format of the blob. A flag, field or bit that a row does not name must be 0.
In the texts d, a, b, c are the tiles as they were when the instruction was issued; `d[i,j]` is row i, column j. What chain, tree and rounding mean: `docs/numerics.md`.
""",
             "## Encoding\n", struct_table(layouts, "npu_insn"), sync_words(header), "## Tile descriptor\n", struct_table(layouts, "npu_tdesc"),
             "## Engines\n", table(["code", "engine", "what"],
                                   [(r[0], r[1], r[2]) for _, r in spec.rows(text, "NPU_ENGINE", 3)])]
    for heading, rows in groups:
        parts += [f"## {heading[0].upper()}{heading[1:]}\n",
                  table(["opcode", "mnemonic", "engine", "operands", "flags", "what"],
                        [(code(r[0]), code(r[2]), r[3], operands(r), flag_names(r[13]), r[14]) for r in rows])]
    parts.append("## Values of immediates and descriptors\n")
    for name, head in (("npu_cc", "condition"), ("npu_sreg", "special register"), ("npu_dtype", "element type"), ("npu_space", "space"),
                       ("npu_layout", "layout"), ("npu_act", "activation"), ("npu_bcast", "broadcast"), ("npu_scale_rule", "scale rule")):
        parts.append(table([head, "value", "meaning"],
                           [(code(n), v, doc) for n, v, doc in spec.enum(header, name) if not n.endswith("_COUNT")]))
    return page("Instruction set", "uapi/spec/isa.def and uapi/npu_isa.h", *parts)


# --- registers ----------------------------------------------------------------------------------------------------

def registers_page(root):
    text = spec.read(root, "uapi/spec/regs.def")
    header = spec.read(root, "uapi/npu_regs.h")
    layouts = all_layouts(root)
    registers = [(code(r[0]), r[1], code(r[2]), r[3], r[4], r[5] or "see above") for _, r in spec.rows(text, "NPU_REG", 6)]
    commands = [(r[0], code(r[1]), r[2]) for _, r in spec.rows(text, "NPU_MBOX", 3)]
    return page("Registers of BAR0", "uapi/spec/regs.def and uapi/npu_regs.h",
                "Little-endian. Each register is accessed with its own width; a 64-bit one also as two 32-bit halves, low first. Doorbell pages begin at\n"
                "`NPU_BAR0_DOORBELLS`: 64-bit slots, write only. BAR2 is the device memory, BAR4 the MSI-X table.\n",
                table(["offset", "bits", "register", "access", "reset", "what"], registers),
                "## Mailbox commands\n\nArguments in `MBOX_ARG0..7`, then the code in `MBOX_CMD`; answer in `MBOX_STATUS` and `MBOX_RESULT`.\n",
                table(["code", "command", "what"], commands),
                "## Values\n", enum_table(header, "npu_device_status", "STATUS"), enum_table(header, "npu_platform", "PLATFORM"),
                "## Event ring\n", enum_table(header, "npu_event_type", "type"), struct_table(layouts, "npu_event_record"))


# --- errors of the device, injected faults --------------------------------------------------------------------------

def ras_page(root):
    text = spec.read(root, "uapi/spec/ras.def")
    header = spec.read(root, "uapi/npu_regs.h")
    errors = [(r[0], code(r[2]), code("NPU_ERROR_" + r[1]), r[3].lower(), r[4]) for _, r in spec.rows(text, "NPU_ERROR", 5)]
    faults = [(r[0], code(r[2]), code("NPU_INJECT_" + r[1]), r[3]) for _, r in spec.rows(text, "NPU_INJECT", 4)]
    return page("Errors of a device, and injected faults", "uapi/spec/ras.def and uapi/npu_regs.h",
                "What a device reports by itself in its error ring, and what a test can make happen. The contract: `docs/ras.md`.\n",
                "## Errors\n", table(["nr", "key", "type", "severity", "what"], errors),
                "## Severities\n", enum_table(header, "npu_severity", "severity"),
                "## Injected faults\n\n`INJECT` of the mailbox: arg0 the number, arg1 place, arg2 count; 0 where a row does not name them. `npu-modeld --inject KEY[:PLACE[:COUNT]]`.\n",
                table(["nr", "key", "fault", "what"], faults))


# --- status -------------------------------------------------------------------------------------------------------

BANDS = ((0, 99, "No error"), (-99, -1, "The caller's usage"), (-199, -100, "Resources"), (-299, -200, "System, driver, versions and blobs"),
         (-399, -300, "Work on the device"), (-499, -400, "Links and collectives"), (-599, -500, "Internal"))


def status_rows(root):
    text = spec.read(root, "uapi/spec/status.def")
    return [(int(r[0]), r[1], r[2], r[3]) for _, r in spec.rows(text, "NPU_STATUS", 4)]


def public_name(value, name):
    return ("NPU_" if value >= 0 else "NPU_ERROR_") + name


def by_band(root):
    rows = status_rows(root)
    for low, high, title in BANDS:
        members = sorted((r for r in rows if low <= r[0] <= high), key=lambda r: abs(r[0]))
        if members:
            yield title, members


def status_page(root):
    parts = ["One set of numbers for completion records, the mailbox and the C API. In the uapi a code is called `NPU_ST_<name>`. A number never changes its\n"
             "meaning. Causes and remedies: `errors.md`.\n",
             table(["value", "C API", "uapi", "meaning"],
                   [(value, code(public_name(value, name)), code("NPU_ST_" + name), cause)
                    for _, members in by_band(root) for value, name, cause, _ in members])]
    return page("Status codes", "uapi/spec/status.def", *parts)


def errors_page(root):
    parts = ["What went wrong and what to do about it. `npuErrorGetInfo` adds the names and numbers of the case at hand; `docs/errors.md` has the rules.\n"]
    for title, members in by_band(root):
        if title == "No error":
            continue
        parts += [f"## {title}\n", table(["code", "value", "cause", "remedy"],
                                         [(code(public_name(v, n)), v, cause, remedy) for v, n, cause, remedy in members])]
    return page("Errors: cause and remedy", "uapi/spec/status.def", *parts)


# --- calls --------------------------------------------------------------------------------------------------------

def calls_page(root):
    text = spec.read(root, "uapi/spec/calls.def")
    layouts = all_layouts(root)
    arrays, files = {}, {}
    for _, (_, name, member, element, least, most, direction) in spec.rows(text, "NPU_CALL_ARRAY", 7):
        arrays.setdefault(name, []).append((member, element, least, most, direction))
    for _, (_, name, member, direction) in spec.rows(text, "NPU_CALL_FD", 4):
        files[name] = (member, direction)
    calls = [r for _, r in spec.rows(text, "NPU_CALL", 6)]
    parts = ["The same structs go through an ioctl and over the socket (`uapi/npu_wire.h`). Rules and errno: head of `uapi/npu_accel.h`; what is accepted:\n"
             "`uapi/npu_validate.h`. `INOUT`: the call answers in the struct. `least`: bytes that a caller must send at least; a shorter struct than the present\n"
             "one is filled up with zeros.\n",
             table(["nr", "call", "direction", "least", "bytes", "what"],
                   [(r[0], code(r[1]), r[3], r[4], layouts.size("npu_" + r[2]), r[5]) for r in calls])]
    for _, name, short, _, _, doc in calls:
        parts += [f"## {name}\n\n{doc}\n", struct_table(layouts, "npu_" + short)]
        for member, element, least, most, direction in arrays.get(short, []):
            parts.append(f"`{member}`: {direction}, {least} to `{most}` elements of `struct {element}`.\n")
        if short in files:
            parts.append(f"`{files[short][0]}`: file descriptor, {files[short][1]}.\n")
    queries = [r for _, r in spec.rows(text, "NPU_QUERY", 5)]
    parts += ["## Types of DEV_QUERY\n", table(["type", "query", "element", "most", "what"],
                                               [(r[0], code(r[1]), code("struct " + r[2]), r[3], r[4]) for r in queries]),
              "## Elements\n"]
    elements = sorted({a[1] for group in arrays.values() for a in group} | {r[2] for r in queries} | {"npu_array"})
    parts += [struct_table(layouts, name) for name in elements if name != "npu_query_elem"]
    return page("Calls", "uapi/spec/calls.def and uapi/npu_accel.h", *parts)


# --- metrics ------------------------------------------------------------------------------------------------------

def metrics_page(root):
    text = spec.read(root, "uapi/spec/metrics.def")
    header = spec.read(root, "uapi/npu_metrics.h")
    units = {r[1]: r for _, r in spec.rows(text, "NPU_METRIC_UNIT", 6)}
    metrics = [r for _, r in spec.rows(text, "NPU_METRIC", 7)]
    bits = re.findall(r"^#define (NPU_THROTTLE_\w+) \(1u << (\d+)\)(?: /\* (.*?) \*/)?$", header, re.MULTILINE)
    return page("Metrics", "uapi/spec/metrics.def and uapi/npu_metrics.h",
                "Integers; an exporter multiplies by the factor of the unit. A metric that a device cannot measure is reported as absent with a reason, never as 0.\n",
                table(["id", "JSON key", "unit", "kind", "exporter", "what"],
                      [(code(r[0]), code(r[2]), r[3], r[4].lower(), code(r[5]), r[6]) for r in metrics]),
                "## Units\n", table(["unit", "symbol", "factor", "base unit"],
                                    [(u[1], u[2], u[3] if u[4] == "1" else f"{u[3]} / {u[4]}", u[5]) for u in units.values()]),
                "## Bits of throttle_reasons_bits\n", table(["bit", "name", "what"], [(b, code(n), doc) for n, b, doc in bits]))


def all_pages(root):
    """Yields (name, text)."""
    yield "calls", calls_page(root)
    yield "errors", errors_page(root)
    yield "isa", isa_page(root)
    yield "metrics", metrics_page(root)
    yield "ras", ras_page(root)
    yield "registers", registers_page(root)
    yield "status", status_page(root)
