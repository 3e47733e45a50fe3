#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ggml and llama.cpp of Debian say about the backend.

  run_tests.py [ops|text|cache|fuse|weights|comm|split|graphs|stress|perplexity|bench]...   (default: all but perplexity and bench)

ops         every case of test-backend-ops: none may fail, and no fewer may be supported than supported.json says
text        greedy text of the models in ../shared/models: the golden file's for fp32, two splits of the graph for all
cache       keys and values in Q8_0 and Q4_0: two splits of the graph
fuse        which nodes become one operator, and the order that a graph gets, without an NPU
weights     weights in tiles: products, other operators, copies, and what the host reads and writes, against the same by rows
comm        sums over NPUs called as ggml calls them: types, sizes, order, what is refused, a device that fails
split       layers on two NPUs; tensors on two NPUs with libnpuccl's all-reduce, and with ggml's copies where that is refused
graphs      a text is made of few graphs that are submitted and patched often, one command each
stress      programs that end in every way they can, two at once, kill -9: the daemon is back to zero objects
perplexity  of the last 60 kB of the text, on the NPU and on the CPU: within 0.01
bench       llama-bench on the NPU and on ggml's CPU backend with the same threads, in one run; writes build/bench/ggml.json
Each line of the result begins with ok or FAILED.
"""
import atexit
import concurrent.futures
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODELS = os.path.join(os.path.dirname(ROOT), "shared", "models")
SUPPORTED = os.path.join(HERE, "supported.json")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
# A case that failed has the error before it: "[CPY] ERR = ... CPY(...): FAIL".
CASE = re.compile(r"(?:^|\s)([A-Z][A-Z0-9_]*)\((.*)\): (.*)$")

failures = 0


def report(ok, what):
    global failures
    failures += not ok
    print(("ok      " if ok else "FAILED  ") + what, flush=True)
    return ok


def in_tree(*command, **environment):
    """The command that runs |command| in the tree of ggml."""
    env = dict(os.environ, **environment)
    return [os.path.join(ROOT, "integrations", "integrations.sh"), "run", "ggml", *command], env


def run(*command, timeout_s=600, **environment):
    argv, env = in_tree(*command, **environment)
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        # All of the group: the script alone would leave its program behind.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def end_group(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def last_lines(text, count=6):
    return "\n".join("        " + line for line in text.splitlines()[-count:])


# --- ops ------------------------------------------------------------------------------------------------------------


def judge(line, tally):
    """Counts one line of test-backend-ops; returns the case when it failed."""
    match = CASE.search(ESCAPES.sub("", line))
    if match is None:
        return None
    op, _, verdict = match.groups()
    counts = tally.setdefault(op, [0, 0, 0])  # passed, failed, not supported
    if verdict.startswith("not supported"):
        counts[2] += 1
    elif verdict.endswith("OK"):
        counts[0] += 1
    elif "FAIL" in verdict:
        counts[1] += 1
        return line.strip()
    return None


def run_ops(ops=None):
    """Returns what judge() has counted, the cases that failed, and the exit code."""
    tally, failed = {}, []
    start = time.monotonic()
    argv, env = in_tree("test-backend-ops", "test", "-b", "NPU0", *(["-o", ops] if ops else []), NPU_DEVICE=os.environ.get("NPU_DEVICE", "inproc"))
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    atexit.register(end_group, process)
    shown = start
    for line in process.stdout:
        case = judge(line, tally)
        if case:
            failed.append(ESCAPES.sub("", case)[:220])
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"        {shown - start:.0f} s: {sum(c[0] for c in tally.values())} cases passed, {len(failed)} failed, at {line.strip()[:80]}", flush=True)
    return tally, failed, process.wait()


# Chooses among random probabilities; where two are equal at the border of what is chosen, ggml's own sort does not say which one (docs/ggml.md).
TIED = "TOPK_MOE"


def test_ops(ops=None):
    start = time.monotonic()
    tally, failed, code = run_ops(ops)
    for case in failed[:40]:
        print("        " + case)
    if len(failed) == 1 and f" {TIED}(" in failed[0]:
        print(f"        {TIED} once more, with other random numbers: a tie does not come twice", flush=True)
        again, failed, code = run_ops(TIED)
        tally.update(again)
    passed = sum(counts[0] for counts in tally.values())
    total = sum(sum(counts) for counts in tally.values())
    for op, (good, bad, no) in sorted(tally.items()):
        if good or bad:
            print(f"        {op:20} {good:5} passed {bad:5} failed {no:5} not supported")
    report(code == 0 and not failed, f"ops: {passed} of {total} cases supported, {len(failed)} failed, {time.monotonic() - start:.0f} s (exit code {code})")
    if ops is None:
        check_supported(passed, {op: counts[0] for op, counts in tally.items() if counts[0]})


def check_supported(passed, by_op):
    """The checked-in number may only grow; UPDATE=1 writes it."""
    with open(SUPPORTED, encoding="utf-8") as file:
        known = json.load(file)
    report(passed >= known["cases"], f"ops: at least the {known['cases']} cases of supported.json")
    for op, count in known["ops"].items():
        if by_op.get(op, 0) < count:
            report(False, f"ops: {op}: {by_op.get(op, 0)} cases, {count} before")
    if os.environ.get("UPDATE") == "1" and passed > known["cases"]:
        with open(SUPPORTED, "w", encoding="utf-8") as file:
            json.dump({"cases": passed, "ops": dict(sorted(by_op.items()))}, file, indent=1)
            file.write("\n")


# --- text -----------------------------------------------------------------------------------------------------------

STORY = ("stories260K", "Once upon a time", 200)
PLAY = ("shakespeare-3M", "ROMEO:", 160)
TEXTS = [(*STORY, kind) for kind in ("f32", "f16", "Q8_0", "Q4_0")] + [(*PLAY, kind) for kind in ("f32", "Q8_0", "Q4_0")]


def model_file(model, kind):
    return os.path.join(MODELS, model, "gguf", f"{model}-{kind}.gguf")


def complete(model, prompt, tokens, kind, *more, **environment):
    """llama-completion now and then ends (with 0, on any backend) before its log is written, through which the text goes too. What it says of times comes last: without it the run is repeated."""
    for _ in range(5):
        done = run("llama-completion", "-m", model_file(model, kind), "-p", prompt, "-n", str(tokens), "--temp", "0", "-no-cnv", "-ngl", "99", *more, **environment)
        if done.returncode != 0 or "common_perf_print" in done.stderr:
            break
    return done


def golden(model, kind):
    folder = os.path.join(MODELS, model)
    for name in sorted(os.listdir(folder)):
        if name.startswith("golden-llama") and f"-{kind}" in name:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                return file.read()
    return None


def test_text():
    for model, prompt, tokens, kind in TEXTS:
        done = complete(model, prompt, tokens, kind, "-v")
        name = f"text: {model} {kind}"
        if not report(done.returncode == 0, f"{name}: ends well"):
            print(last_lines(done.stderr))
            continue
        splits = re.findall(r"\bsplits = (\d+)", done.stderr)
        report(splits and all(int(n) == 2 for n in splits), f"{name}: {splits[-1] if splits else '?'} splits of the graph, 2 is all on the NPU")
        speed = re.findall(r"eval time.*?([\d.]+) tokens per second", done.stderr)
        want = golden(model, kind)
        if want is None:
            continue
        same = os.path.commonprefix([done.stdout, want])
        detail = f"{name}: {len(same)} of {len(want)} characters are the golden text's ({', '.join(speed)} tokens/s prompt, decode)"
        # Another order of sums may turn the decision between two tokens whose chances are equal in a quantised model.
        report(kind != "f32" or len(same) >= len(want.rstrip()), detail)


def test_cache():
    """Keys and values kept in blocks: written by SET_ROWS, read by attention."""
    for kind in ("q8_0", "q4_0"):
        done = complete(*PLAY[:2], 40, "f32", "-fa", "on", "-ctk", kind, "-ctv", kind, "-v")
        splits = re.findall(r"\bsplits = (\d+)", done.stderr)
        report(done.returncode == 0 and splits and all(int(n) == 2 for n in splits), f"cache: {PLAY[0]} f32 with keys and values in {kind}: {splits[-1] if splits else '?'} splits of the graph, 2 is all on the NPU")


def test_fuse():
    done = run(os.path.join(BUILD, "integrations", "ggml-npu-fuse-test"), timeout_s=120)
    print(done.stdout, end="")
    cases = len(re.findall(r"^ok ", done.stdout, re.MULTILINE))
    if not report(done.returncode == 0 and cases >= 34, f"fuse: {cases} checks, exit code {done.returncode}"):
        print(last_lines(done.stderr))


def test_weights():
    for device in ("inproc:tiny", "inproc:maia100"):
        done = run(os.path.join(BUILD, "integrations", "ggml-npu-weights-test"), NPU_DEVICE=device, timeout_s=120)
        print(done.stdout, end="")
        cases = len(re.findall(r"^ok ", done.stdout, re.MULTILINE))
        if not report(done.returncode == 0 and cases >= 64, f"weights: {cases} checks on {device}, exit code {done.returncode}"):
            print(last_lines(done.stderr))


TWO = "inproc:maia100*2"


def test_comm():
    for device in (TWO, "model:maia100*2"):
        done = run(os.path.join(BUILD, "integrations", "ggml-npu-comm-test"), NPU_DEVICE=device, timeout_s=120)
        print(done.stdout, end="")
        cases = len(re.findall(r"^ok ", done.stdout, re.MULTILINE))
        if not report(done.returncode == 0 and cases >= 39, f"comm: {cases} checks on {device}, exit code {done.returncode}"):
            print(last_lines(done.stderr))


def split_layers(model, prompt, tokens):
    done = complete(model, prompt, tokens, "f32", "-sm", "layer", "-v", NPU_DEVICE=TWO)
    layers = [re.search(rf"NPU{i} KV buffer size", done.stderr) for i in range(2)]
    splits = re.findall(r"\bsplits = (\d+)", done.stderr)
    report(done.returncode == 0 and all(layers) and splits and splits[-1] == "3" and done.stdout.startswith(golden(model, "f32").rstrip()), f"split: {model}: layers on two NPUs, 3 splits of the graph, the golden text")


def split_tensors(model, prompt, tokens, **environment):
    """Returns whether the text is the golden one, and how many sums over NPUs libnpuccl has made and refused."""
    done = complete(model, prompt, tokens, "f32", "-sm", "tensor", NPU_DEVICE=TWO, NPU_LOG_LEVEL="info", **environment)
    counts = re.findall(r"^ggml-npu: info: 2 NPUs: (\d+) all-reduces, (\d+) refused$", done.stderr, re.MULTILINE)
    made, refused = sum(int(one[0]) for one in counts), sum(int(one[1]) for one in counts)
    return done.returncode == 0 and done.stdout.startswith(golden(model, "f32").rstrip()), made, refused


def test_split():
    for (model, prompt, tokens), layers in ((STORY, 5), (PLAY, 4)):
        split_layers(model, prompt, tokens)
        # A sum behind the attention and one behind the feed-forward part of each layer, for the prompt and each token.
        least = 2 * layers * tokens
        same, made, refused = split_tensors(model, prompt, tokens)
        report(same and made >= least and made % (2 * layers) == 0 and refused == 0, f"split: {model}: tensors on two NPUs, the golden text, {made} sums by libnpuccl, {refused} refused")
        same, made, refused = split_tensors(model, prompt, tokens, NPU_CCL_BLOB="/there/is/none")
        report(same and made == 0 and refused >= least, f"split: {model}: tensors on two NPUs without libnpuccl's blob, the golden text, {made} sums by libnpuccl, {refused} by ggml")
    split_tensors_without_device()


def split_tensors_without_device():
    """The devices go away in the middle of a text."""
    with Daemon("maia100*2") as daemon:
        argv, env = in_tree("llama-completion", "-m", model_file("stories260K", "f32"), "-p", STORY[1], "-n", "100000", "-c", "16384", "--temp", "0", "-no-cnv", "-ngl", "99", "--ignore-eos", "-sm", "tensor", NPU_DEVICE=daemon.device)
        process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        atexit.register(end_group, process)
        begun = process.stdout.read(len(STORY[1]) + 200)
        daemon.process.kill()
        start = time.monotonic()
        try:
            process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            pass
        report(len(begun) > 200 and process.poll() not in (None, 0), f"split: without its devices the program ends after {time.monotonic() - start:.1f} s, exit code {process.poll()}")


def test_graphs():
    """The calls that a text of 200 tokens makes, from the library's own record."""
    record = os.path.join(ROOT, "build", "integrations", "calls.jsonl")
    if os.path.exists(record):
        os.remove(record)
    done = complete(*STORY, "f32", NPU_LAYERS="record", NPU_RECORD_FILE=record)
    with open(record, encoding="utf-8") as file:
        calls = re.findall(r'"(npuGraph\w+|npuQueueLaunch|npuSubmitBatch)"', file.read())
    made, launched = calls.count("npuGraphInstantiate"), calls.count("npuGraphLaunch")
    single = calls.count("npuQueueLaunch") + calls.count("npuSubmitBatch")
    # A prompt, its warm-up and the tokens differ in shape, and the cache of keys grows by steps.
    report(done.returncode == 0 and 1 <= made <= 8 and launched >= 200 and single == 0, f"graphs: {launched} graphs submitted as one command each, {made} made, {calls.count('npuGraphExecUpdateNode')} nodes patched, {single} launches beside them")


# --- stress ---------------------------------------------------------------------------------------------------------


BUILD = os.path.join(ROOT, "build", os.environ.get("NPU_INTEGRATIONS_PRESET", "dev"))


class Daemon:
    """A device model of its own, outside of the tree: what it holds can be asked for when all clients are gone."""

    def __init__(self, spec="maia100"):
        self.spec = spec

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="npu-ggml.", dir=os.path.join(ROOT, "build", "integrations"))
        self.device = "unix:" + os.path.join(self.folder, "npu.sock")
        with open(os.path.join(self.folder, "log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([os.path.join(BUILD, "firmware-model/server/npu-modeld"), "--spec", self.spec, "--socket", self.device[5:]], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not os.path.exists(self.device[5:]) and time.monotonic() < deadline:
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)

    def ask(self, *what):
        smi = os.path.join(BUILD, "tools/npu-smi/npu-smi")
        done = subprocess.run([smi, "--format", "json", *what], env=dict(os.environ, NPU_DEVICE=self.device), stdout=subprocess.PIPE, check=True, text=True, timeout=60)
        return json.loads(done.stdout)

    def leftovers(self):
        """Waits (at most 10 s: the server learns of a killed client by its socket) until nothing is held; returns what still is."""
        deadline = time.monotonic() + 10
        while True:
            held = [find_value(self.ask("info"), "used"), find_value(self.ask("info"), "queues"), len(self.ask("ps")["processes"])]
            if not any(held) or time.monotonic() > deadline:
                return held
            time.sleep(0.1)


def find_value(tree, name):
    """The first number called |name|."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        if key == name and isinstance(value, (int, float)):
            return value
        found = find_value(value, name)
        if found is not None:
            return found
    return None


def story(device):
    return complete(*STORY, "f32", NPU_DEVICE=device)


def kill_at_work(device, after_s):
    argv, env = in_tree("llama-completion", "-m", model_file("stories260K", "f32"), "-p", STORY[1], "-n", "5000", "--temp", "0", "-no-cnv", "-ngl", "99", "--ignore-eos", NPU_DEVICE=device)
    process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(after_s)  # somewhere in loading, the prompt, the text: the place is meant to vary
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_stress(rounds=100):
    want = golden("stories260K", "f32").rstrip()
    with Daemon() as daemon:
        codes = [run("llama-completion", "--list-devices", NPU_DEVICE=daemon.device).returncode for _ in range(int(rounds))]
        report(not any(codes), f"stress: {rounds} times loaded, device opened, ended without a shutdown of the library")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            texts = list(pool.map(story, [daemon.device] * 2))
        report(all(done.returncode == 0 and done.stdout.startswith(want) for done in texts), "stress: two processes at once, both texts golden")
        for after_s in (0.2, 0.4, 0.6, 0.8, 1.2):
            kill_at_work(daemon.device, after_s)
        report(story(daemon.device).stdout.startswith(want), "stress: the device serves the next process after five were killed at work")
        left = daemon.leftovers()
        report(left == [0, 0, 0], f"stress: {left[0]} bytes, {left[1]} queues, {left[2]} processes are left on the device")


# --- bench ----------------------------------------------------------------------------------------------------------


def bench_once(model, device, repeats):
    done = run("llama-bench", "-m", model, "-p", "128", "-n", "64", "-r", str(repeats), "-t", "2", "-ngl", "99", "-dev", device, "-o", "json", timeout_s=900)
    if done.returncode != 0:
        print(last_lines(done.stderr))
        return None
    return {("decode" if row["n_gen"] else "prefill"): row["avg_ts"] for row in json.loads(done.stdout)}


def random_model(kind):
    """A model of 25 million random weights, in |kind|; made once."""
    folder = os.path.join(ROOT, "build", "integrations")
    path, source = os.path.join(folder, f"random-25M-{kind}.gguf"), os.path.join(folder, "random-25M.gguf")
    if not os.path.exists(path):
        subprocess.run([sys.executable, os.path.join(HERE, "random_model.py"), model_file("shakespeare-3M", "f32"), source], check=True)
        done = run("llama-quantize", source, path + ".part", kind.upper())
        if done.returncode != 0:
            raise RuntimeError("llama-quantize failed:\n" + last_lines(done.stderr))
        os.rename(path + ".part", path)
        os.remove(source)
    return path


def test_bench(runs=3):
    results = []
    models = [("shakespeare-3M", kind, model_file("shakespeare-3M", kind)) for kind in ("f32", "Q8_0", "Q4_0")]
    models += [("random-25M", kind, random_model(kind)) for kind in ("f32", "Q8_0", "Q4_0")]
    for model, kind, path in models:
        samples = {"NPU0": [], "none": []}
        for _ in range(runs):
            for device, into in samples.items():
                one = bench_once(path, device, 3)
                if one:
                    into.append(one)
        for phase in ("prefill", "decode"):
            medians = {device: statistics.median(s[phase] for s in taken) if taken else 0 for device, taken in samples.items()}
            ratio = medians["NPU0"] / medians["none"] if medians["none"] else 0
            results.append({"name": f"ggml {phase} {model} {kind}", "value": medians["NPU0"], "unit": "tokens/s", "peer": "ggml CPU backend", "peer_value": medians["none"], "ratio": ratio, "goal": 0.8})
            print(f"        {model:14} {phase:8} {kind:5} {medians['NPU0']:9.0f} tokens/s, CPU {medians['none']:9.0f}, ratio {ratio:.2f} (goal 0.8)", flush=True)
    folder = os.path.join(ROOT, "build", "bench")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "ggml.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


# --- perplexity -----------------------------------------------------------------------------------------------------

TAIL_BYTES = 60000


def perplexity(kind, device, text):
    """As in complete(): a run that ends well before its log is written is repeated."""
    for _ in range(5):
        done = run("llama-perplexity", "-m", model_file("shakespeare-3M", kind), "-f", text, "-c", "256", "-t", "2", "-ngl", "99", "-dev", device, timeout_s=1800)
        found = re.search(r"Final estimate: PPL = ([\d.]+)", done.stdout + done.stderr)
        if found is not None or done.returncode != 0:
            break
    if found is None:
        print(last_lines(done.stderr))
    return float(found.group(1)) if found else float("nan")


def test_perplexity():
    text = os.path.join(ROOT, "build", "integrations", "val-tail.txt")
    with open(os.path.join(MODELS, "text", "tinyshakespeare.txt"), "rb") as file:
        tail = file.read()[-TAIL_BYTES:]
    with open(text, "wb") as file:
        file.write(tail)
    for kind in ("f32", "Q8_0", "Q4_0"):
        ours, theirs = perplexity(kind, "NPU0", text), perplexity(kind, "none", text)
        report(abs(ours - theirs) <= 0.01, f"perplexity: shakespeare-3M {kind}: {ours:.4f}, ggml's CPU backend {theirs:.4f}")


PARTS = {"ops": test_ops, "text": test_text, "cache": test_cache, "fuse": test_fuse, "weights": test_weights, "comm": test_comm, "split": test_split, "graphs": test_graphs, "stress": test_stress, "bench": test_bench, "perplexity": test_perplexity}


def main():
    wanted = sys.argv[1:] or ["ops", "text", "cache", "fuse", "weights", "comm", "split", "graphs", "stress"]
    for word in wanted:
        name, _, argument = word.partition("=")
        if name not in PARTS:
            sys.exit(f"run_tests.py: '{name}' is no part; there are: {' '.join(PARTS)}")
        if argument:
            PARTS[name](argument)
        else:
            PARTS[name]()
    print(f"ggml: {failures} failed" if failures else "ggml: all passed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
