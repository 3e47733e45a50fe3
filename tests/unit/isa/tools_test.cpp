// SPDX-License-Identifier: Apache-2.0
// npu-as, npu-dis and npu-fw as their users call them: results, messages and exit codes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

namespace fs = std::filesystem;

class Tools : public ::testing::Test {
 protected:
  struct Result {
    int code;
    std::string out, err;
  };

  void SetUp() override {
    char pattern[] = "/tmp/npu-tools-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
    write("k.s", ".kernel one\n.arg x dva\n  arg r1, x\n  halt\n");
    write("bad.s", ".kernel one\n  mm t0, t1\n  halt\n");
  }
  void TearDown() override { fs::remove_all(dir_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
  }
  std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  unsigned mode(const fs::path& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
  }

  // Runs in the folder of the test. The build says where the tools are.
  Result run(const std::string& tool, const std::string& arguments) {
    const std::string command = "cd '" + dir_.string() + "' && NPU_KEY_DIR='" +
                                (dir_ / "keys").string() + "' '" + tool + "' " + arguments +
                                " >stdout 2>stderr </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(dir_ / "stdout"),
            read(dir_ / "stderr")};
  }

  void expect_failure(const std::string& tool, const std::string& arguments, int code,
                      const std::string& part) {
    const Result result = run(tool, arguments);
    EXPECT_EQ(result.code, code) << arguments;
    EXPECT_NE(result.err.find(part), std::string::npos) << arguments << ": " << result.err;
    EXPECT_EQ(result.out, "") << arguments;
  }

  fs::path dir_;
};

TEST_F(Tools, TextGoesThroughAssemblerAndDisassembler) {
  ASSERT_EQ(run(NPU_AS, "k.s -o k.elf").code, 0);
  const Result text = run(NPU_DIS, "k.elf");
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.out, ".kernel one\n.arg x dva 0\n  arg r1, 0\n  halt\n");
  write("again.s", text.out);
  ASSERT_EQ(run(NPU_AS, "again.s -o again.elf").code, 0);
  EXPECT_EQ(read(dir_ / "again.elf"), read(dir_ / "k.elf"));
  ASSERT_EQ(run(NPU_AS, "-g k.s -o k.elf").code, 0);
  EXPECT_NE(run(NPU_DIS, "--kernel one k.elf").out.find(".loc 1 \"k.s\" 3"), std::string::npos);
}

TEST_F(Tools, ASignedBlobVerifiesAndAChangedOneDoesNot) {
  ASSERT_EQ(run(NPU_FW, "keygen mine").code, 0);
  EXPECT_EQ(mode(dir_ / "mine.key"), 0600u);
  ASSERT_EQ(run(NPU_FW, "keygen other").code, 0);
  ASSERT_EQ(run(NPU_FW, "pack k.s -o k.elf").code, 0);
  const Result sign = run(NPU_FW, "sign k.elf -k mine.key -o k.npu --counter 7 --class dev");
  ASSERT_EQ(sign.code, 0) << sign.err;
  const Result good = run(NPU_FW, "verify k.npu -k mine.pub");
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_NE(good.out.find("counter 7"), std::string::npos);
  expect_failure(NPU_FW, "verify k.npu -k other.pub", 1, "signed with another key");
  expect_failure(NPU_FW, "verify k.elf -k mine.pub", 1, "not signed; 'npu-fw sign'");
  std::string bytes = read(dir_ / "k.npu");
  bytes[200] ^= 1;
  write("changed.npu", bytes);
  expect_failure(NPU_FW, "verify changed.npu -k mine.pub", 1, "changed after it was signed");
  expect_failure(NPU_DIS, "changed.npu", 1, "changed after it was signed");
}

TEST_F(Tools, InspectShowsTheContent) {
  ASSERT_EQ(run(NPU_FW, "keygen mine").code, 0);
  ASSERT_EQ(run(NPU_FW, "pack k.s -o k.elf").code, 0);
  EXPECT_NE(run(NPU_FW, "inspect k.elf").out.find("signed by   nobody"), std::string::npos);
  ASSERT_EQ(run(NPU_FW, "sign k.elf -k mine.key -o k.npu").code, 0);
  const Result json = run(NPU_FW, "inspect k.npu --format json");
  EXPECT_EQ(json.code, 0);
  EXPECT_NE(json.out.find("\"signed\": true"), std::string::npos);
  EXPECT_NE(json.out.find("\"key_class\": \"owner\""), std::string::npos);
  EXPECT_NE(json.out.find("\"name\": \"one\""), std::string::npos);
}

TEST_F(Tools, EnrolPutsThePublicKeyIntoThePrivateFolder) {
  ASSERT_EQ(run(NPU_FW, "keygen mine").code, 0);
  const Result enrol = run(NPU_FW, "enrol mine.pub");
  ASSERT_EQ(enrol.code, 0) << enrol.err;
  EXPECT_EQ(read(dir_ / "keys" / "mine.pub"), read(dir_ / "mine.pub"));
  EXPECT_EQ(mode(dir_ / "keys"), 0700u);
  EXPECT_EQ(mode(dir_ / "keys" / "mine.pub"), 0600u);
  EXPECT_EQ(run(NPU_FW, "enrol mine.pub --name x").code, 0);
  EXPECT_TRUE(fs::exists(dir_ / "keys" / "x.pub"));
  expect_failure(NPU_FW, "enrol mine.key", 1, "is no public key");
  expect_failure(NPU_FW, "enrol mine.pub --name ../x", 1, "is no key name");
}

TEST_F(Tools, PackPutsSeveralFilesTogether) {
  write("l.s", ".kernel two\nhalt\n");
  ASSERT_EQ(run(NPU_AS, "l.s -o l.elf").code, 0);
  ASSERT_EQ(run(NPU_FW, "pack k.s l.elf -o both.elf").code, 0);
  const Result text = run(NPU_DIS, "both.elf");
  EXPECT_NE(text.out.find(".kernel one"), std::string::npos);
  EXPECT_NE(text.out.find(".kernel two"), std::string::npos);
  expect_failure(NPU_FW, "pack k.s k.s -o twice.elf", 1, "two kernels 'one'");
  EXPECT_FALSE(fs::exists(dir_ / "twice.elf"));
}

TEST_F(Tools, MistakesSayWhatIsWrongAndLeaveNoFile) {
  expect_failure(NPU_AS, "bad.s -o bad.elf", 1, "bad.s:2: 'mm' needs tile operand b");
  EXPECT_FALSE(fs::exists(dir_ / "bad.elf"));
  expect_failure(NPU_AS, "none.s -o x.elf", 1, "cannot read 'none.s'");
  expect_failure(NPU_AS, "k.s -o no/such/folder.elf", 1, "cannot write");
  expect_failure(NPU_AS, "/ -o x.elf", 1, "it is a folder");
  expect_failure(NPU_AS, "k.s", 2, "--output");
  expect_failure(NPU_DIS, "", 2, "file");
  expect_failure(NPU_DIS, "k.s", 1, "it is no ELF file");
  expect_failure(NPU_FW, "", 2, "subcommand");
  expect_failure(NPU_FW, "verify", 2, "required");
  ASSERT_EQ(run(NPU_FW, "keygen mine").code, 0);
  expect_failure(NPU_FW, "keygen mine", 1, "exists already");
  ASSERT_EQ(run(NPU_FW, "pack k.s -o k.elf").code, 0);
  expect_failure(NPU_DIS, "k.elf -k three", 1, "there is no kernel 'three'");
  expect_failure(NPU_FW, "sign k.elf -k mine.pub -o k.npu", 1, "is no secret key");
  expect_failure(NPU_FW, "sign k.elf -k mine.key -o k.npu --type cake", 2, "--type");
  chmod((dir_ / "mine.key").c_str(), 0644);
  expect_failure(NPU_FW, "sign k.elf -k mine.key -o k.npu", 1, "chmod 600");
  EXPECT_FALSE(fs::exists(dir_ / "k.npu"));
}

TEST_F(Tools, APipeIsWrittenIntoAndStaysAPipe) {
  ASSERT_EQ(run(NPU_AS, "k.s -o k.elf").code, 0);
  const fs::path pipe = dir_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  EXPECT_EQ(run(NPU_AS, "k.s -o pipe").code, 0);
  std::string bytes(1 << 16, '\0');
  const ssize_t count = ::read(reader, bytes.data(), bytes.size());
  close(reader);
  ASSERT_GT(count, 0);
  bytes.resize(static_cast<size_t>(count));
  EXPECT_EQ(bytes, read(dir_ / "k.elf"));
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(Tools, ACounterThatIsNoWholeNumberIsRefused) {
  ASSERT_EQ(run(NPU_FW, "keygen mine").code, 0);
  ASSERT_EQ(run(NPU_FW, "pack k.s -o k.elf").code, 0);
  for (const char* counter :
       {"-1", "-5", "18446744073709551616", "99999999999999999999", "1e3", "''"}) {
    expect_failure(NPU_FW, std::string("sign k.elf -k mine.key -o k.npu --counter=") + counter, 2,
                   "--counter");
    EXPECT_FALSE(fs::exists(dir_ / "k.npu")) << counter;
  }
  ASSERT_EQ(run(NPU_FW, "sign k.elf -k mine.key -o k.npu --counter 7").code, 0);
  EXPECT_NE(run(NPU_FW, "inspect k.npu").out.find("security counter 7\n"), std::string::npos);
}

TEST_F(Tools, AKeyThatCouldNotBeWrittenLeavesNothingInTheWay) {
  // No byte fits into a file; SIGXFSZ ignored, so write() says EFBIG as a full disk says ENOSPC.
  const std::string script =
      "(trap '' XFSZ; ulimit -f 0; exec '" + std::string(NPU_FW) + "' keygen mine) 2>&1 | cat >&2";
  const Result full = run("/bin/bash", "-c \"" + script + "\"");
  EXPECT_NE(full.err.find("cannot write 'mine.key'"), std::string::npos) << full.err;
  EXPECT_FALSE(fs::exists(dir_ / "mine.key"));
  EXPECT_EQ(run(NPU_FW, "keygen mine").code, 0);
}

TEST_F(Tools, HelpIsNoMistake) {
  for (const char* tool : {NPU_AS, NPU_DIS, NPU_FW}) {
    const Result result = run(tool, "--help");
    EXPECT_EQ(result.code, 0);
    EXPECT_NE(result.out.find("Usage"), std::string::npos);
  }
}

}  // namespace
