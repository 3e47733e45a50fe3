// SPDX-License-Identifier: Apache-2.0
// npu-dbg as its users call it: commands from a file, what they print, exit codes.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

namespace fs = std::filesystem;

// Line 17 doubles what line 16 has loaded; WAIT stands for how it waits.
constexpr const char* kDouble = R"(.kernel double
.arg x dva
.arg y dva
.l1 4K
  arg r1, x
  arg r2, y
  li r3, 2
  li r4, 4
  tset t0, r1, r3, r4, r4, hbm.f32.row
  tset t1, r2, r3, r4, r4, hbm.f32.row
  tset t2, r0, r3, r4, r4, l1.f32.row
  li r7, -5



  ld t2, t0 sig s0+1
  vadd t2, t2, t2 WAIT sig s1+1
  st t1, t2 wait s1-=1
  halt
)";

class Dbg : public ::testing::Test {
 protected:
  struct Result {
    int code;
    std::string out, err;
  };

  void SetUp() override {
    char pattern[] = "/tmp/npu-dbg-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
    assemble("good", "wait s0-=1");
    assemble("race", "");
    assemble("stuck", "wait s0-=2");
  }
  void TearDown() override { fs::remove_all(dir_); }

  void assemble(const std::string& name, const std::string& wait) {
    std::string text = kDouble;
    text.replace(text.find("WAIT"), 4, wait);
    std::ofstream(dir_ / (name + ".s")) << text;
    ASSERT_EQ(call(std::string("'") + NPU_AS + "' -g " + name + ".s -o " + name + ".elf").code, 0);
  }
  std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  Result call(const std::string& command) {
    const int status =
        std::system(("cd '" + dir_.string() + "' && " + command + " >stdout 2>stderr").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(dir_ / "stdout"),
            read(dir_ / "stderr")};
  }
  Result debug(const std::string& arguments, const std::string& commands) {
    std::ofstream(dir_ / "commands") << commands;
    return call(std::string("'") + NPU_DBG + "' " + arguments + " -x commands");
  }
  // On the kernel above with x = 0, 1, 2, ...
  Result debug_double(const std::string& name, const std::string& commands) {
    return debug("-a x=f32:8=iota -a y=f32:8 " + name + ".elf", commands);
  }

  fs::path dir_;
};

TEST_F(Dbg, StopsAtALineAndShowsWhatIsThere) {
  const Result result = debug_double("good",
                                     "break good.s:17\n# a remark\ncontinue\nsems\np t2\nregs\n"
                                     "s\np t2 2\nc\n");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out,
            "    0  good.s:5  arg r1, 0\n"
            "stops before     9  good.s:17  vadd t2, t2, t2 wait s0-=1 sig s1+1\n"
            "    9  good.s:17  vadd t2, t2, t2 wait s0-=1 sig s1+1\n"
            "s0 = 1\n"
            "t2 = l1.f32.row at 0x0, 2 x 4, stride 4\n0 1 2 3\n4 5 6 7\n"
            "r1 = 4294967296 (0x100000000)\nr2 = 8589934592 (0x200000000)\nr3 = 2 (0x2)\n"
            "r4 = 4 (0x4)\nr7 = -5 (0xfffffffffffffffb)\n"
            "   10  good.s:18  st t1, t2 wait s1-=1\n"
            "t2 = l1.f32.row at 0x0, 2 x 4, stride 4\n0 2 ...\n8 10 ...\n"
            "ended after 12 instructions, " +
                result.out.substr(result.out.rfind(", ") + 2));
}

TEST_F(Dbg, StepsCountAndBreaksCanGo) {
  const Result result = debug_double("good", "b @3\nb @5\nd @3\ns 2\nc\nlist\nd\nc\n");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("1 stops are gone\n    2  good.s:7"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("->    5  good.s:10  tset"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("no stops are left\nended after 12"), std::string::npos) << result.out;
}

TEST_F(Dbg, AWaitingOperationIsSeenInItsQueueAndADeadlockIsTold) {
  const Result result = debug_double("stuck", "b 19\nc\nqueues\nc\n");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.out.find("ST   10  stuck.s:18  st t1, t2 wait s1-=1\nVE    9  stuck.s:17  vadd"),
            std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("KERNEL_DEADLOCK"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("s0 is 1 of 2, and nothing is left to signal it"), std::string::npos)
      << result.out;
}

TEST_F(Dbg, ARaceEndsItUnlessChecksAreOff) {
  const Result result = debug_double("race", "c\n");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.out.find("KERNEL_RACE"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("tile 0:     9  race.s:17"), std::string::npos) << result.out;
  EXPECT_EQ(debug("--no-check -a x=f32:8 -a y=f32:8 race.elf", "c\n").code, 0);
}

TEST_F(Dbg, WrongCommandsAreAnsweredAndChangeNothing) {
  const Result result = debug_double(
      "good", "fly\nbreak\nbreak 999\nprint\nprint t64\nstep 0\ntile 1\nprint t9\nquit\n");
  EXPECT_EQ(result.code, 0);
  for (const char* answer : {"'fly' is no command", "break takes", "print takes", "step takes",
                             "tile takes a number below 1", "t9 = hbm.f32.row at 0x0, 0 x 0"}) {
    EXPECT_NE(result.out.find(answer), std::string::npos) << answer << ": " << result.out;
  }
  EXPECT_EQ(result.out.find("ended"), std::string::npos);
}

TEST_F(Dbg, WrongArgumentsSayWhatIsRight) {
  const auto expect = [&](const std::string& arguments, int code, const std::string& part) {
    const Result result = debug(arguments, "");
    EXPECT_EQ(result.code, code) << arguments;
    EXPECT_NE(result.err.find(part), std::string::npos) << arguments << ": " << result.err;
  };
  expect("good.elf", 1, "needs --arg x=TYPE:COUNT");
  expect("-a x=f32:8 -a y=f32 good.elf", 1, "'f32' is no value for y=TYPE:COUNT");
  expect("-a x=f32:8 -a y=f33:8 good.elf", 1, "write TYPE:COUNT");
  expect("-a x=f32:8 -a y=f32:99999999999 good.elf", 1, "at most 1 GiB");
  expect("-a x=f32:8 -a x=f32:8 good.elf", 1, "stands twice");
  expect("-a x=f32:8 -a y=f32:8 -a z=1 good.elf", 1, "has no argument 'z'");
  expect("-a x=f32:8=good.s -a y=f32:8 good.elf", 1, "bytes, the argument 32");
  expect("-k none good.elf", 1, "there is no kernel 'none'");
  expect("-p none -a x=f32:8 -a y=f32:8 good.elf", 1, "none");
  expect("--grid 1 good.elf", 2, "");
  expect("nothing.elf", 1, "nothing.elf");
}

TEST_F(Dbg, AFaultOutsideOfTheMemoryNamesItsInstruction) {
  const Result result = debug("-a x=f32:7 -a y=f32:8 good.elf", "");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.out.find("VM_FAULT"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("good.s:16"), std::string::npos) << result.out;
}

}  // namespace
