#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks find what is planted, and only that: each test writes a small tree, one file of which breaks one rule."""
import os
import shutil
import sys
import tempfile
import unittest

import check_arrows
import check_budgets
import check_headers
import check_pairs
import check_text
import check_walk
import tree

sys.path.insert(0, os.path.join(tree.repository_root(), "tools", "specdoc"))
import spec  # noqa: E402 (its folder is known only now)
import specdoc  # noqa: E402


class PlantedTree(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)

    def plant(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def findings(self, module):
        return list(module.check(self.root, tree.list_files(self.root)))

    def assert_one(self, module, path, word):
        found = self.findings(module)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(path + ":"), found)
        self.assertIn(word, found[0])


class Arrows(PlantedTree):
    def setUp(self):
        super().setUp()
        self.plant("uapi/npu_queue.h", "#include <linux/types.h>\n")
        self.plant("libnpu/include/npu/npu.h", "#include <stdint.h>\n")
        self.plant("libnpu/src/core/queue.h", '#include "uapi/npu_queue.h"\n#include <atomic>\n')
        self.plant("libnpu/src/backend/model.cpp", '#include <sys/socket.h>\n#include "libnpu/src/core/queue.h"\n')
        self.plant("firmware-model/device/queue.h", '#include "uapi/npu_queue.h"\n')
        self.plant("firmware-model/kernels/gemm.cpp", '#include "tools/isa/builder.h"\n')
        self.plant("tools/isa/builder.h", "#include <vector>\n")
        self.plant("samples/launch/main.c", "#include <npu/npu.h>\n// #include <sys/mman.h>\n")

    def test_a_clean_tree_has_no_findings(self):
        self.assertEqual(self.findings(check_arrows), [])

    def test_uapi_may_not_include_a_c_header(self):
        self.plant("uapi/npu_isa.h", "#include <string.h>\n")
        self.assert_one(check_arrows, "uapi/npu_isa.h", "<string.h>")

    def test_the_public_api_may_not_include_uapi(self):
        self.plant("libnpu/include/npu/npu_queue.h", '#include "uapi/npu_queue.h"\n')
        self.assert_one(check_arrows, "libnpu/include/npu/npu_queue.h", "may not include uapi/npu_queue.h")

    def test_only_the_backend_makes_system_calls(self):
        self.plant("libnpu/src/core/wait.cpp", "#include <poll.h>\n")
        self.assert_one(check_arrows, "libnpu/src/core/wait.cpp", "<poll.h>")

    def test_the_model_may_not_include_the_library(self):
        self.plant("firmware-model/device/dma.cpp", "#include <npu/npu.h>\n")
        self.assert_one(check_arrows, "firmware-model/device/dma.cpp", "libnpu/include")

    def test_the_device_may_not_include_the_assembler(self):
        self.plant("firmware-model/device/dma.cpp", '#include "tools/isa/builder.h"\n')
        self.assert_one(check_arrows, "firmware-model/device/dma.cpp", "tools/isa")

    def test_the_operators_use_the_public_api_only(self):
        self.plant("libnpu/ops/gemm.cpp", '#include "uapi/npu_queue.h"\n')
        self.assert_one(check_arrows, "libnpu/ops/gemm.cpp", "uapi/npu_queue.h")

    def test_the_management_library_uses_the_backend_but_makes_no_system_call(self):
        self.plant("libnpu/src/backend/backend.h", "#include <memory>\n")
        self.plant("libnpu/ml/src/device.cpp", '#include "libnpu/src/backend/backend.h"\n#include <poll.h>\n')
        self.assert_one(check_arrows, "libnpu/ml/src/device.cpp", "<poll.h>")

    def test_a_relative_path_does_not_hide_an_arrow(self):
        self.plant("samples/launch/more.c", '#include "../../uapi/npu_queue.h"\n')
        self.assert_one(check_arrows, "samples/launch/more.c", "uapi")

    def test_a_sample_may_not_include_another_sample(self):
        self.plant("samples/llm/main.cpp", '#include "samples/launch/util.h"\n')
        self.plant("samples/launch/util.h", "\n")
        self.assert_one(check_arrows, "samples/llm/main.cpp", "samples/launch/util.h")

    def test_a_file_that_does_not_exist_is_named(self):
        self.plant("libnpu/src/core/wait.cpp", '#include "queue_ring.h"\n')
        self.assert_one(check_arrows, "libnpu/src/core/wait.cpp", "no file of this repository")

    def test_a_folder_without_a_rule_is_named(self):
        self.plant("extras/a.c", "\n")
        self.assert_one(check_arrows, "extras/a.c", "no arrow")

    def test_an_include_behind_a_macro_is_found(self):
        self.plant("uapi/npu_isa.h", "#define F <string.h>\n#include F\n")
        self.assert_one(check_arrows, "uapi/npu_isa.h", "#include F")


class Budgets(PlantedTree):
    def body(self, lines):
        return "{\n" + "  f();\n" * lines + "}\n"

    def test_a_function_of_sixty_lines_passes(self):
        self.plant("a.cpp", "void Foo::bar(int x) const noexcept " + self.body(58))
        self.assertEqual(self.findings(check_budgets), [])

    def test_a_function_of_sixty_one_lines_fails(self):
        self.plant("a.cpp", "namespace n {\nvoid Foo::bar(int x) const noexcept " + self.body(59) + "}\n")
        self.assert_one(check_budgets, "a.cpp", "Foo::bar() has 61 lines")

    def test_long_constructors_and_tests_and_c_functions_fail(self):
        for header in ("Foo::Foo(int x) : a_(x), b_{x} ", "TEST(QueueTest, Rejects) ", "struct foo *make(void) ",
                       "auto f(int x) -> std::vector<int> ", "static int f(void)\n"):
            self.plant("a.cpp", header + self.body(80))
            self.assert_one(check_budgets, "a.cpp", "82 lines")

    def test_long_types_and_tables_pass(self):
        for header in ("struct alignas(64) Foo ", "enum class E ", "class Foo : public Bar ", "static const int kTable[] = ",
                       "struct __attribute__((packed)) foo "):
            self.plant("a.cpp", header + "{\n" + "  int x;\n" * 80 + "};\n")
            self.assertEqual(self.findings(check_budgets), [], header)

    def test_braces_in_strings_characters_and_comments_do_not_count(self):
        self.plant("a.cpp", "void f() {\n  g(\"}\", '}', 1'000, R\"(}})\");  // }\n" + "  h();\n" * 60 + "}\n")
        self.assert_one(check_budgets, "a.cpp", "63 lines")

    def test_a_long_file_fails(self):
        self.plant("a.def", "X(1)\n" * 601)
        self.assert_one(check_budgets, "a.def", "601 lines")

    def test_a_public_header_with_few_comments_fails(self):
        self.plant("libnpu/include/npu/npu.h", "#include <stdint.h>\n" + "/* 12345678 */\n" * 3 + "int someName;\n" * 7)
        self.assert_one(check_budgets, "libnpu/include/npu/npu.h", "30 %")


    def test_an_umbrella_header_passes(self):
        self.plant("libnpu/include/npu/npu.h", "/* all */\n#ifndef A\n" + "#include <npu/a.h>\n" * 30 + "#endif\n")
        self.assertEqual(self.findings(check_budgets), [])


class Text(PlantedTree):
    SPDX = "// SPDX-License-Identifier: Apache-2.0\n"

    def test_a_clean_file_has_no_findings(self):
        self.plant("a.cpp", self.SPDX + "int x;\n")
        self.plant("uapi/a.h", "/* SPDX-License-Identifier: GPL-2.0-only OR MIT */\n")
        self.assertEqual(self.findings(check_text), [])

    def test_each_broken_rule_is_named(self):
        cases = {
            "int x;\n": "SPDX",
            "// SPDX-License-Identifier: MIT\n": "licence of this folder",
            self.SPDX + "int x; \n": "white space",
            self.SPDX + "int x;\r\n": "carriage return",
            self.SPDX + "\tint x;\n": "tab",
            self.SPDX + "// \u00e9\n": "ASCII",
            self.SPDX + "int x;": "no newline",
            self.SPDX + "// TO" + "DO: later\n": "unfinished",
            self.SPDX + 'f("/wo' + 'rk/main");\n': "machine",
            self.SPDX + "// see /ho" + "me/jane/x\n": "machine",
        }
        for text, word in cases.items():
            self.plant("a.cpp", text)
            self.assert_one(check_text, "a.cpp", word)


class Headers(PlantedTree):
    def test_a_header_that_needs_another_one_first_fails(self):
        self.plant("uapi/npu_regs.h", "struct npu_regs { __u32 x; };\n")
        found = self.findings(check_headers)
        self.assertEqual(len(found), 2, found)
        self.assertIn("c17", found[0])

    def test_a_header_without_a_guard_fails(self):
        self.plant("uapi/npu_regs.h", "struct npu_regs { int x; };\n")
        self.assertEqual(len(self.findings(check_headers)), 2)

    def test_a_hole_in_a_shared_struct_fails(self):
        guard = "#ifndef A\n#define A\n%s\n#endif\n"
        self.plant("uapi/npu_regs.h", guard % "struct row { const char *name; char kind; };\nstruct npu_regs {\nchar a;\nint b; };")
        self.assert_one(check_headers, "uapi/npu_regs.h", "pads")

    def test_a_header_that_is_not_c_fails(self):
        self.plant("libnpu/include/npu/npu.h", "#pragma once\nclass A;\n")
        self.assert_one(check_headers, "libnpu/include/npu/npu.h", "c11")


class Walk(PlantedTree):
    def setUp(self):
        super().setUp()
        self.plant("a/ring.cpp", "void Ring::publish(int x) {\n  // pairs with b/queue.cpp : Queue::fetch\n}\n")
        self.plant("b/queue.cpp", "int Queue::fetch() {\n  // pairs with a/ring.cpp : Ring::publish\n  return 0;\n}\n")
        self.plant("ARCHITECTURE.md", "| `a/ring.cpp : Ring::publish` | x |\n")

    def test_a_clean_tree_has_no_findings(self):
        self.assertEqual(self.findings(check_walk), [])

    def test_a_row_that_names_no_function(self):
        self.plant("ARCHITECTURE.md", "| `a/ring.cpp : Ring::vanished` | x |\n")
        self.assert_one(check_walk, "ARCHITECTURE.md", "Ring::vanished")

    def test_a_row_that_names_no_file(self):
        self.plant("ARCHITECTURE.md", "x\n| `a/gone.cpp : f` | x |\n")
        self.assert_one(check_walk, "ARCHITECTURE.md:2", "a/gone.cpp")

    def test_a_name_in_a_comment_is_no_function(self):
        self.plant("docs/x.md", "`a/ring.h : push`\n")
        self.plant("a/ring.h", "// push() was here\n")
        self.assert_one(check_walk, "docs/x.md", "push")


class Pairs(PlantedTree):
    def setUp(self):
        super().setUp()
        self.plant("a/ring.cpp", "void Ring::publish(int x) {\n  // pairs with b/queue.cpp : Queue::fetch\n}\n")
        self.plant("b/queue.cpp", "int Queue::fetch() {\n  // pairs with a/ring.cpp : Ring::publish\n  return 0;\n}\n")

    def test_a_clean_tree_has_no_findings(self):
        self.assertEqual(self.findings(check_pairs), [])

    def test_a_pair_without_a_function(self):
        self.plant("a/more.cpp", "// pairs with the other side\n")
        self.assert_one(check_pairs, "a/more.cpp", "write 'pairs with")

    def test_a_pair_that_leads_nowhere(self):
        self.plant("a/more.cpp", "// pairs with b/queue.cpp : Queue::gone\n")
        self.assert_one(check_pairs, "a/more.cpp", "Queue::gone")

    def test_a_pair_that_nobody_answers(self):
        self.plant("a/more.cpp", "// pairs with b/queue.cpp : Queue::fetch\n")
        self.assert_one(check_pairs, "a/more.cpp", "leads back")

    def test_two_partners_and_a_comment_of_two_lines(self):
        self.plant("a/more.cpp", "void f() {\n  // pairs with b/queue.cpp : Queue::fetch and\n  // a/more.cpp : f\n}\n")
        self.plant("b/queue.cpp", "int Queue::fetch() {\n  // pairs with a/ring.cpp : Ring::publish and a/more.cpp : f\n  return 0;\n}\n")
        self.assertEqual(self.findings(check_pairs), [])


class Specdoc(PlantedTree):
    """The generator of docs/reference on a copy of the real tables."""

    def setUp(self):
        super().setUp()
        shutil.copytree(os.path.join(tree.repository_root(), "uapi"), os.path.join(self.root, "uapi"))
        self.plant("docs/queue.md", "<!-- struct npu_cmd -->\nold\n<!-- end -->\n")

    def change(self, path, old, new):
        text = spec.read(self.root, path)
        self.assertIn(old, text)
        self.plant(path, text.replace(old, new, 1))

    def test_a_changed_row_changes_its_page_only(self):
        before = specdoc.outputs(self.root)
        self.change("uapi/spec/status.def", "the deadline passed", "the time is over")
        after = specdoc.outputs(self.root)
        self.assertEqual([p for p in after if after[p] != before[p]], ["docs/reference/status.md"])

    def test_a_struct_table_is_filled_in(self):
        text = specdoc.outputs(self.root)["docs/queue.md"]
        self.assertIn("| 8 | 56 | `__u64 body[7]` |", text)
        self.assertNotIn("old", text)

    def test_a_row_with_a_member_too_few_is_an_error(self):
        self.change("uapi/spec/isa.def", 'NPU_INSN(0x01, NOP, "nop", CTRL, ', 'NPU_INSN(0x01, NOP, "nop", ')
        self.assertRaises(spec.SpecError, specdoc.outputs, self.root)

    def test_a_size_that_its_header_denies_is_an_error(self):
        self.change("uapi/npu_accel.h", "NPU_UAPI_SIZE(npu_bind_op, 40)", "NPU_UAPI_SIZE(npu_bind_op, 48)")
        self.assertRaises(spec.SpecError, specdoc.outputs, self.root)

    def test_a_table_without_an_end_is_an_error(self):
        self.plant("docs/queue.md", "<!-- struct npu_cmd -->\n")
        self.assertRaises(spec.SpecError, specdoc.outputs, self.root)


if __name__ == "__main__":
    unittest.main()
