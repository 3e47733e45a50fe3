// SPDX-License-Identifier: Apache-2.0
// Blobs: what is written is read back, and nothing in a signed blob can be changed or cut off unseen.
#include "tools/isa/blob.h"
#include "tools/isa/codec.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/unit/isa/random_program.h"
#include "tools/isa/text.h"
#include "tools/npu-fw/key_files.h"

namespace npu::isa {
namespace {

KeyPair test_key(uint8_t first = 1) {
  std::array<uint8_t, 32> seed{};
  seed[0] = first;
  return key_pair_from_seed(seed);
}

std::vector<Program> small_programs() {
  Assembly assembly = assemble(
      ".kernel a\n.arg x dva\n.loc 1 \"a.s\" 7\narg r1, x line 1\nhalt\n"
      ".kernel b\n.loc 1 \"b.s\" 3\n.loc 2 \"a.s\" 7\nnop line 2\nhalt line 1\n");
  return std::move(assembly.programs);
}

Bytes small_blob() {
  const auto elf = write_elf(small_programs());
  return *sign_elf(*elf, test_key(), {.security_counter = 5});
}

SourceLine line_of(const Program& program, size_t pc) {
  const uint32_t id = program.insns[pc].line;
  return id == 0 ? SourceLine{} : program.lines[id - 1];
}

void expect_same(const Program& a, const Program& b) {
  EXPECT_EQ(std::memcmp(&a.note, &b.note, sizeof(a.note)), 0);
  ASSERT_EQ(a.insns.size(), b.insns.size());
  for (size_t pc = 0; pc < a.insns.size(); ++pc) {
    EXPECT_EQ(line_of(a, pc), line_of(b, pc));
    npu_insn left = a.insns[pc], right = b.insns[pc];
    left.line = right.line = 0;
    if (kInsnTable[left.op].imm == 'P') {
      EXPECT_EQ(a.formats[left.imm - 1], b.formats[right.imm - 1]) << pc;
      left.imm = right.imm = 0;
    }
    EXPECT_EQ(std::memcmp(&left, &right, sizeof(left)), 0) << pc;
  }
  ASSERT_EQ(a.args.size(), b.args.size());
  for (size_t i = 0; i < a.args.size(); ++i)
    EXPECT_EQ(std::memcmp(&a.args[i], &b.args[i], sizeof(npu_note_arg)), 0) << i;
}

TEST(Blob, RandomProgramsComeBack) {
  std::printf("seeds 1 to 50\n");
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    testing::RandomProgram random(seed);
    std::vector<Program> programs;
    for (int i = 0; i < 4; ++i) programs.push_back(random.make());
    const auto elf = write_elf(programs);
    ASSERT_TRUE(elf) << elf.error();
    const auto blob = sign_elf(*elf, test_key());
    ASSERT_TRUE(blob) << blob.error();
    const auto back = verify_blob(*blob, test_key().public_key);
    ASSERT_TRUE(back) << back.error();
    ASSERT_EQ(back->programs.size(), programs.size());
    for (size_t i = 0; i < programs.size(); ++i) expect_same(programs[i], back->programs[i]);
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

TEST(Blob, TheManifestSaysWhatWasSigned) {
  const Bytes bytes = small_blob();
  const auto blob = read_blob(bytes);
  ASSERT_TRUE(blob) << blob.error();
  EXPECT_TRUE(blob->is_signed);
  EXPECT_EQ(blob->manifest.security_counter, 5u);
  EXPECT_EQ(blob->manifest.image_type, NPU_IMAGE_KERNELS);
  EXPECT_EQ(blob->manifest.key_class, NPU_KEY_OWNER);
  EXPECT_EQ(blob->segments.size(), 2u);
  EXPECT_EQ(std::memcmp(blob->manifest.key_id, key_id(test_key().public_key).data(), 16), 0);
}

TEST(Blob, TheElfPartIsAnElfOfOurMachine) {
  const Bytes elf = *write_elf(small_programs());
  Elf64_Ehdr header;
  std::memcpy(&header, elf.data(), sizeof(header));
  EXPECT_EQ(header.e_machine, NPU_ELF_MACHINE);
  EXPECT_EQ(header.e_flags, NPU_ELF_FLAGS(NPU_ISA_MAJOR, 0));  // runs on the oldest devices too
  Elf64_Phdr load;
  std::memcpy(&load, elf.data() + header.e_phoff, sizeof(load));
  EXPECT_EQ(load.p_type, static_cast<uint32_t>(PT_LOAD));
  EXPECT_EQ(load.p_offset % load.p_align, load.p_vaddr);
  EXPECT_EQ(load.p_filesz, 4u * NPU_INSN_BYTES);
}

TEST(Blob, AProgramIsOfTheLeastMinorThatHasItsInstructions) {
  std::vector<Program> programs = small_programs();
  npu_insn& changed = programs[0].insns[0];
  const auto minor = [&] {
    const Bytes elf = *write_elf(programs);
    Elf64_Ehdr header;
    std::memcpy(&header, elf.data(), sizeof(header));
    return NPU_ELF_ISA_MINOR(header.e_flags);
  };
  changed = {};
  changed.op = NPU_OP_TSET;
  EXPECT_EQ(minor(), 0u);
  changed.imm = NPU_TDESC(NPU_SPACE_HBM, NPU_DTYPE_Q6_K, NPU_LAYOUT_ROW);
  EXPECT_EQ(minor(), 2u);
  changed = {};
  changed.op = NPU_OP_STC;
  EXPECT_EQ(minor(), 3u);
  changed.op = NPU_OP_CVT;
  EXPECT_EQ(minor(), 0u);
  changed.flags = NPU_F_RANDOM;
  EXPECT_EQ(minor(), 3u);
  changed = {};
  changed.op = NPU_OP_LDC;
  EXPECT_EQ(minor(), 2u);
  Bytes elf = *write_elf(programs);
  EXPECT_TRUE(sign_elf(elf, test_key()));
  elf[offsetof(Elf64_Ehdr, e_flags) + 2] = 1;
  EXPECT_FALSE(sign_elf(elf, test_key()));
}

TEST(Blob, TheSameInputGivesTheSameBytes) {
  EXPECT_EQ(small_blob(), small_blob());
  EXPECT_NE(small_blob(), *sign_elf(*write_elf(small_programs()), test_key(2)));
}

TEST(Blob, SigningAgainReplacesTheManifest) {
  const Bytes again = *sign_elf(small_blob(), test_key(2), {.security_counter = 5});
  EXPECT_EQ(again.size(), small_blob().size());
  EXPECT_TRUE(verify_blob(again, test_key(2).public_key));
  EXPECT_FALSE(verify_blob(again, test_key(1).public_key));
}

TEST(Blob, EveryFlippedBitIsRefused) {
  const Bytes good = small_blob();
  ASSERT_TRUE(verify_blob(good, test_key().public_key));
  for (size_t i = 0; i < good.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[i] ^= static_cast<uint8_t>(1u << bit);
      ASSERT_FALSE(verify_blob(bad, test_key().public_key)) << "byte " << i << " bit " << bit;
    }
  }
}

TEST(Blob, EveryCutAndEveryExtraByteIsRefused) {
  const Bytes good = small_blob();
  for (size_t size = 0; size < good.size(); ++size) {
    ASSERT_FALSE(verify_blob(std::span(good).first(size), test_key().public_key)) << size;
    ASSERT_FALSE(verify_blob(std::span(good).last(size), test_key().public_key)) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(verify_blob(longer, test_key().public_key));
  longer = good;
  longer.insert(longer.begin(), 0);
  EXPECT_FALSE(verify_blob(longer, test_key().public_key));
}

// Signing what the reader should refuse: the hashes and the signature are right, the content is not.
TEST(Blob, DamagedElfFilesAreRefusedAndNeverCrash) {
  const Bytes good = *write_elf(small_programs());
  ASSERT_TRUE(read_blob(good));
  std::printf("seed 99\n");
  testing::RandomProgram random(99);
  for (int i = 0; i < 20000; ++i) {
    Bytes bad = good;
    for (uint32_t n = 1 + random.below(3); n > 0; --n)
      bad[random.below(static_cast<uint32_t>(bad.size()))] =
          static_cast<uint8_t>(random.below(256));
    bad.resize(bad.size() - random.below(2) * random.below(static_cast<uint32_t>(bad.size())));
    if (const auto blob = read_blob(bad)) {
      EXPECT_FALSE(blob->programs.empty());
    }
  }
}

TEST(Blob, AnUnsignedFileIsReadButNotVerified) {
  Bytes elf = *write_elf(small_programs());
  ASSERT_TRUE(read_blob(elf));
  EXPECT_FALSE(read_blob(elf)->is_signed);
  const auto refused = verify_blob(elf, test_key().public_key);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("not signed"), std::string::npos);
  const npu_manifest_trailer trailer{0, NPU_MANIFEST_MAGIC};
  const auto* bytes = reinterpret_cast<const uint8_t*>(&trailer);
  elf.insert(elf.end(), bytes, bytes + sizeof(trailer));
  ASSERT_TRUE(read_blob(elf));
  EXPECT_FALSE(verify_blob(elf, test_key().public_key));
}

TEST(Blob, ProgramsThatCannotBeWrittenAreNamed) {
  EXPECT_FALSE(write_elf({}));
  std::vector<Program> programs = small_programs();
  std::memcpy(programs[1].note.name, programs[0].note.name, sizeof(programs[1].note.name));
  EXPECT_NE(write_elf(programs).error().find("two kernels 'a'"), std::string::npos);
  programs = small_programs();
  programs[1].insns.back().op = NPU_OP_NOP;
  EXPECT_NE(write_elf(programs).error().find("kernel 'b', instruction 1"), std::string::npos);
}

class KeyFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/npu-keys-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  static unsigned mode(const std::filesystem::path& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
  }
  void write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path) << text;
    chmod(path.c_str(), 0600);
  }

  std::filesystem::path dir_;
};

TEST_F(KeyFiles, ComeBackAndSecretsArePrivate) {
  const auto key = make_key_pair();
  ASSERT_TRUE(key) << key.error();
  ASSERT_FALSE(write_secret_key(dir_ / "k.key", *key));
  ASSERT_FALSE(write_public_key(dir_ / "k.pub", key->public_key));
  EXPECT_EQ(mode(dir_ / "k.key"), 0600u);
  const auto back = read_secret_key(dir_ / "k.key");
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(back->seed, key->seed);
  EXPECT_EQ(back->public_key, key->public_key);
  EXPECT_EQ(*read_public_key(dir_ / "k.pub"), key->public_key);
  EXPECT_TRUE(write_secret_key(dir_ / "k.key", *key)) << "a secret key must not be overwritten";
}

TEST_F(KeyFiles, DamagedOrOpenOnesAreRefused) {
  const std::string digits(64, 'a');
  write(dir_ / "good", "npu-fw secret key v1\n" + digits + "\n");
  EXPECT_TRUE(read_secret_key(dir_ / "good"));
  chmod((dir_ / "good").c_str(), 0640);
  EXPECT_NE(read_secret_key(dir_ / "good").error().find("chmod 600"), std::string::npos);
  EXPECT_FALSE(read_secret_key(dir_ / "none"));
  for (const std::string& text :
       {std::string(), digits, "npu-fw secret key v1\n" + digits.substr(1) + "\n",
        "npu-fw secret key v1\n" + digits + "a\n",
        "npu-fw secret key v1\n" + digits.substr(1) + "x\n", std::string(10000, 'a')}) {
    write(dir_ / "bad", text);
    EXPECT_FALSE(read_secret_key(dir_ / "bad")) << text;
  }
  write(dir_ / "bad", digits.substr(2) + "\n");
  EXPECT_FALSE(read_public_key(dir_ / "bad"));
}

TEST_F(KeyFiles, EnrolmentMakesAPrivateFolder) {
  const auto path = enrol_key(dir_ / "config" / "npu" / "keys", "mine", test_key().public_key);
  ASSERT_TRUE(path) << path.error();
  EXPECT_EQ(path->filename(), "mine.pub");
  EXPECT_EQ(mode(*path), 0600u);
  EXPECT_EQ(mode(path->parent_path()), 0700u);
  EXPECT_EQ(*read_public_key(*path), test_key().public_key);
  for (const char* name : {"", "../x", "a/b", ".hidden", "a b"})
    EXPECT_FALSE(enrol_key(dir_, name, test_key().public_key)) << name;
}

TEST_F(KeyFiles, TheFolderComesFromTheEnvironment) {
  setenv("NPU_KEY_DIR", "/x/keys", 1);
  EXPECT_EQ(*key_directory(), "/x/keys");
  unsetenv("NPU_KEY_DIR");
  setenv("XDG_CONFIG_HOME", "/x/config", 1);
  EXPECT_EQ(*key_directory(), "/x/config/npu/keys");
  unsetenv("XDG_CONFIG_HOME");
  setenv("HOME", "/x/home", 1);
  EXPECT_EQ(*key_directory(), "/x/home/.config/npu/keys");
}

}  // namespace
}  // namespace npu::isa
