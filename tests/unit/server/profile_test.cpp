// SPDX-License-Identifier: Apache-2.0
// Profiles, keys, specs and folders: what is read, and what is refused with which words.
#include "firmware-model/server/profile.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "firmware-model/server/places.h"
#include "firmware-model/server/start.h"

namespace npu::model::server {
namespace {

namespace fs = std::filesystem;

std::string tiny() {
  std::ifstream stream(NPU_TEST_PROFILE_DIR "/tiny.toml");
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  npu_profile profile{};
  std::vector<PortBinding> bindings;
  std::string error;
  EXPECT_FALSE(parse_profile(text, "x.toml", &profile, &bindings, &error));
  return error;
}

TEST(ProfileTest, EveryProfileOfTheRepositoryIsValid) {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(NPU_TEST_PROFILE_DIR)) {
    npu_profile profile{};
    std::vector<PortBinding> bindings;
    std::string error;
    EXPECT_TRUE(load_profile(entry.path().string(), &profile, &bindings, &error)) << error;
    EXPECT_TRUE(bindings.empty()) << "no profile of the repository knows a machine";
    EXPECT_EQ(entry.path().stem().string(), profile.name);
    ++count;
  }
  EXPECT_GE(count, 10u);
}

TEST(ProfileTest, Maia100HasItsPublishedSizes) {
  npu_profile profile{};
  std::vector<PortBinding> bindings;
  std::string error;
  ASSERT_TRUE(load_profile(NPU_TEST_PROFILE_DIR "/maia100.toml", &profile, &bindings, &error))
      << error;
  EXPECT_EQ(profile.clusters * profile.tiles_per_cluster, 64u);
  EXPECT_EQ(profile.hbm_bytes, 64ull << 30);
  EXPECT_EQ(profile.hbm_mbytes_per_s, 1'800'000u);
  EXPECT_EQ(profile.ports, 12u);
  EXPECT_EQ(profile.port_mbps, 400'000u);
  // 2 operations a MAC: about 0.8 POPS in bf16.
  const double pops = 2.0 * 64 * profile.mac_per_cycle_bf16 * profile.core_clock_khz * 1e3 * 1e-15;
  EXPECT_NEAR(pops, 0.75, 0.01);
}

TEST(ProfileTest, WhatAClusterSharesHasAPartForEachTile) {
  EXPECT_EQ(error_of(replaced(tiny(), "l2_bytes_per_cycle = 256\n", "l2_bytes_per_cycle = 1\n")),
            "profile x.toml: key 'l2_bytes_per_cycle' is smaller than tiles_per_cluster; allowed: "
            "2 to 1048576");
  EXPECT_EQ(error_of(replaced(tiny(), "noc_bytes_per_cycle = 128\n", "noc_bytes_per_cycle = 1\n")),
            "profile x.toml: key 'noc_bytes_per_cycle' is smaller than tiles_per_cluster; allowed: "
            "2 to 1048576");
}

TEST(ProfileTest, ErrorsNameTheFileTheKeyAndWhatIsAllowed) {
  EXPECT_EQ(error_of(replaced(tiny(), "clusters = 2\n", "clusters = 0\n")),
            "profile x.toml: key 'clusters' is 0; allowed: 1 to 256");
  EXPECT_EQ(error_of(replaced(tiny(), "clusters = 2\n", "")),
            "profile x.toml: key 'clusters' is missing; allowed: 1 to 256");
  EXPECT_EQ(error_of(replaced(tiny(), "clusters = 2\n", "clusters = \"2\"\n")),
            "profile x.toml: key 'clusters' must be an integer; allowed: 1 to 256");
  EXPECT_EQ(error_of(replaced(tiny(), "clusters = 2\n", "clusters = 2.0\n")),
            "profile x.toml: key 'clusters' must be an integer; allowed: 1 to 256");
  EXPECT_EQ(error_of(replaced(tiny(), "clusters = 2\n", "clusters = -1\n")),
            "profile x.toml: key 'clusters' is -1; allowed: 1 to 256");
  EXPECT_EQ(error_of(replaced(tiny(), "clusters = 2\n", "clusters = 2\ncaches = 1\n")),
            "profile x.toml: key 'caches' is unknown");
  EXPECT_EQ(
      error_of(replaced(tiny(), "l1_bytes = 1048576", "l1_bytes = 1048577")),
      "profile x.toml: key 'l1_bytes' is 1048577; allowed: 65536 to 67108864, a multiple of 4096");
  EXPECT_EQ(error_of(replaced(tiny(), "name = \"tiny\"", "name = \"\"")),
            "profile x.toml: key 'name' must be a string; allowed: 1 to 31 characters");
  EXPECT_EQ(error_of(replaced(tiny(), "[source]\n", "[sources]\n")),
            "profile x.toml: key 'sources' is unknown");
  EXPECT_NE(
      error_of(replaced(tiny(), "[source]\nclusters", "[source]\nother")).find("source.other"),
      std::string::npos);
  EXPECT_NE(error_of("name = ").find("profile x.toml: line 1"), std::string::npos);
  EXPECT_NE(error_of("").find("'name'"), std::string::npos);
  EXPECT_EQ(error_of("a = 1\n# \xc3\xa9"),
            "profile x.toml: line 2: a character that is not plain ASCII");
}

// network_profile_test.cpp has the rest.
TEST(ProfileTest, AWrongNetworkIsNoProfile) {
  EXPECT_EQ(error_of(tiny() + "[network]\n"),
            "profile x.toml: key 'network.node_chips' is missing; allowed: 1 to 64");
}

TEST(ProfileTest, AMissingFileSaysWhichThereAre) {
  npu_profile profile{};
  std::vector<PortBinding> bindings;
  std::string error;
  EXPECT_FALSE(load_profile(NPU_TEST_PROFILE_DIR "/none.toml", &profile, &bindings, &error));
  EXPECT_NE(error.find("maia100"), std::string::npos) << error;
}

TEST(SpecTest, ASpecIsAProfileAndACount) {
  std::string profile;
  std::string error;
  uint32_t count = 0;
  ASSERT_TRUE(parse_spec("maia100", &profile, &count, &error));
  EXPECT_EQ(count, 1u);
  ASSERT_TRUE(parse_spec("maia100*16", &profile, &count, &error));
  EXPECT_EQ(profile, "maia100");
  EXPECT_EQ(count, 16u);
  for (const char* bad : {"", "*2", "a*", "a*0", "a*17", "a*-1", "a*1x", "a*01", "../a", ".a",
                          "a/b", "a*2*2", "a*99999999999999999999"}) {
    EXPECT_FALSE(parse_spec(bad, &profile, &count, &error)) << bad;
  }
}

TEST(SpecTest, ThreadsAndNumericsAreReadStrictly) {
  uint32_t threads = 0;
  EXPECT_TRUE(parse_threads("2", &threads));
  EXPECT_TRUE(parse_threads("0", &threads));
  for (const char* bad : {"", "-1", "1025", "2x", " 2", "99999"})
    EXPECT_FALSE(parse_threads(bad, &threads));
  bool scalar = false;
  EXPECT_TRUE(parse_numerics("scalar", &scalar));
  EXPECT_TRUE(scalar);
  EXPECT_FALSE(parse_numerics("avx", &scalar));
}

class FolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/npu-server-test-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    folder_ = path;
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write_file(const std::string& name, const std::string& text, mode_t mode = 0644) {
    std::ofstream(folder_ + "/" + name) << text;
    chmod((folder_ + "/" + name).c_str(), mode);
  }
  std::string folder_;
};

TEST_F(FolderTest, KeysAreReadInOrderAndOnce) {
  write_file("b.pub", std::string(64, '0') + "\n");
  write_file("a.pub", std::string(62, '0') + "fF");
  write_file("c.pub", std::string(64, '0'));
  write_file("secret.key", "not looked at");
  std::vector<PublicKey> keys;
  std::string error;
  ASSERT_TRUE(read_keys(folder_, &keys, &error)) << error;
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0][31], 0xff);
  EXPECT_EQ(keys[1][31], 0);
  EXPECT_TRUE(read_keys(folder_ + "/none", &keys, &error));
}

TEST_F(FolderTest, AKeyThatOthersCanWriteIsRefused) {
  write_file("a.pub", std::string(64, '0'), 0666);
  std::vector<PublicKey> keys;
  std::string error;
  EXPECT_FALSE(read_keys(folder_, &keys, &error));
  EXPECT_NE(error.find("a.pub"), std::string::npos);
  chmod((folder_ + "/a.pub").c_str(), 0644);
  chmod(folder_.c_str(), 0777);
  EXPECT_FALSE(read_keys(folder_, &keys, &error));
  chmod(folder_.c_str(), 0700);
  EXPECT_TRUE(read_keys(folder_, &keys, &error));
  write_file("b.pub", std::string(63, '0'));
  EXPECT_FALSE(read_keys(folder_, &keys, &error));
  EXPECT_NE(error.find("64 hex digits"), std::string::npos);
}

TEST_F(FolderTest, TheRuntimeFolderMustBeOursAlone) {
  std::string error;
  const std::string path = folder_ + "/npu";
  ASSERT_TRUE(ensure_runtime_directory(path, &error)) << error;
  struct stat st {};
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  EXPECT_TRUE(ensure_runtime_directory(path, &error));
  chmod(path.c_str(), 0755);
  EXPECT_FALSE(ensure_runtime_directory(path, &error));
  fs::remove(path);
  fs::create_directory_symlink(folder_, path);
  EXPECT_FALSE(ensure_runtime_directory(path, &error));
  EXPECT_FALSE(ensure_runtime_directory(folder_ + "/a/b", &error));
}

}  // namespace
}  // namespace npu::model::server
