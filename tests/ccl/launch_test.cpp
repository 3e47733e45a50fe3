// SPDX-License-Identifier: Apache-2.0
// How a process learns which rank it is: variables, and the PMIx server of mpirun, which may lie or end.
#include <gtest/gtest.h>
#include <npu/npu_ccl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

namespace npu::test {
namespace {

// Variables for the time of a test; all others of this matter are unset.
class Variables {
 public:
  explicit Variables(const std::map<std::string, std::string>& wanted) {
    for (const char* name :
         {"NPU_CCL_RANK", "NPU_CCL_RANKS", "NPU_CCL_LOCAL_RANK", "NPU_CCL_ID", "NPU_CCL_INTERFACE",
          "PMIX_NAMESPACE", "PMIX_RANK", "PMIX_SERVER_URI41", "PMIX_SERVER_URI4"}) {
      const char* before = std::getenv(name);
      before_[name] = before != nullptr ? before : "";
      unsetenv(name);
    }
    for (const auto& [name, value] : wanted) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Variables() {
    for (const auto& [name, value] : before_) {
      value.empty() ? unsetenv(name.c_str()) : setenv(name.c_str(), value.c_str(), 1);
    }
  }
  Variables(const Variables&) = delete;

 private:
  std::map<std::string, std::string> before_;
};

constexpr const char* kId = "127.0.0.1:4711:000102030405060708090a0b0c0d0e0f";

npuCclWorld empty_world() {
  npuCclWorld world{};
  world.struct_size = sizeof(world);
  return world;
}

TEST(WorldTest, VariablesTellRankAndId) {
  const Variables variables({{"NPU_CCL_RANK", "2"}, {"NPU_CCL_RANKS", "3"}, {"NPU_CCL_ID", kId}});
  npuCclWorld world = empty_world();
  ASSERT_EQ(npuCclGetWorld(0, &world), NPU_OK) << npuCclGetErrorText();
  EXPECT_EQ(world.rank, 2u);
  EXPECT_EQ(world.ranks, 3u);
  EXPECT_EQ(world.local_rank, 2u);
  npuCclId id;
  ASSERT_EQ(npuCclGetId(&id), NPU_OK);
  EXPECT_TRUE(std::equal(std::begin(id.bytes), std::end(id.bytes), world.id.bytes));
}

TEST(WorldTest, LocalRankAndAWorldOfOne) {
  const Variables variables(
      {{"NPU_CCL_RANK", "0"}, {"NPU_CCL_RANKS", "1"}, {"NPU_CCL_LOCAL_RANK", "0"}});
  npuCclWorld world = empty_world();
  ASSERT_EQ(npuCclGetWorld(0, &world), NPU_OK) << npuCclGetErrorText();
  EXPECT_EQ(world.ranks, 1u);
}

TEST(WorldTest, AProcessThatNobodyStartedAsARankIsToldHow) {
  const Variables variables({});
  npuCclWorld world = empty_world();
  EXPECT_EQ(npuCclGetWorld(0, &world), NPU_ERROR_NOT_FOUND);
  EXPECT_NE(std::string(npuCclGetErrorText()).find("mpirun"), std::string::npos);
}

TEST(WorldTest, RefusesBadArguments) {
  const Variables variables({});
  npuCclWorld world{};
  EXPECT_EQ(npuCclGetWorld(0, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuCclGetWorld(0, &world), NPU_ERROR_STRUCT_SIZE);
  world.struct_size = sizeof(world) + 4;
  EXPECT_EQ(npuCclGetWorld(0, &world), NPU_ERROR_STRUCT_SIZE);
}

struct Bad {
  const char* name;
  std::map<std::string, std::string> variables;
  npuResult result;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class BadWorldTest : public testing::TestWithParam<Bad> {};

TEST_P(BadWorldTest, IsRefusedWithAReasonAndLeavesNothing) {
  const Variables variables(GetParam().variables);
  npuCclWorld world = empty_world();
  world.rank = 77;
  EXPECT_EQ(npuCclGetWorld(2000, &world), GetParam().result) << npuCclGetErrorText();
  EXPECT_STRNE(npuCclGetErrorText(), "");
  EXPECT_EQ(world.rank, 0u);
  EXPECT_EQ(world.ranks, 0u);
}

const npuResult kBad = NPU_ERROR_BAD_ENVIRONMENT, kNoAnswer = NPU_ERROR_DEPENDENCY_FAILED;
INSTANTIATE_TEST_SUITE_P(
    All, BadWorldTest,
    testing::Values(
        Bad{"RankAlone", {{"NPU_CCL_RANK", "0"}}, kBad},
        Bad{"RanksAlone", {{"NPU_CCL_RANKS", "1"}}, kBad},
        Bad{"NoId", {{"NPU_CCL_RANK", "0"}, {"NPU_CCL_RANKS", "2"}}, kBad},
        Bad{"BadId", {{"NPU_CCL_RANK", "0"}, {"NPU_CCL_RANKS", "2"}, {"NPU_CCL_ID", "x"}}, kBad},
        Bad{"RankTooLarge",
            {{"NPU_CCL_RANK", "2"}, {"NPU_CCL_RANKS", "2"}, {"NPU_CCL_ID", kId}},
            kBad},
        Bad{"NoRanks", {{"NPU_CCL_RANK", "0"}, {"NPU_CCL_RANKS", "0"}, {"NPU_CCL_ID", kId}}, kBad},
        Bad{"TooManyRanks",
            {{"NPU_CCL_RANK", "0"}, {"NPU_CCL_RANKS", "17"}, {"NPU_CCL_ID", kId}},
            kBad},
        Bad{"Negative",
            {{"NPU_CCL_RANK", "-1"}, {"NPU_CCL_RANKS", "2"}, {"NPU_CCL_ID", kId}},
            kBad},
        Bad{"WordsBehind",
            {{"NPU_CCL_RANK", "1x"}, {"NPU_CCL_RANKS", "2"}, {"NPU_CCL_ID", kId}},
            kBad},
        Bad{"Overflow", {{"NPU_CCL_RANK", "4294967296"}, {"NPU_CCL_RANKS", "2"}}, kBad},
        Bad{"LocalRank",
            {{"NPU_CCL_RANK", "0"}, {"NPU_CCL_RANKS", "1"}, {"NPU_CCL_LOCAL_RANK", "9"}},
            kBad},
        Bad{"NoServer", {{"PMIX_NAMESPACE", "x"}, {"PMIX_RANK", "0"}}, kNoAnswer},
        Bad{"ServerGone",
            {{"PMIX_NAMESPACE", "x"},
             {"PMIX_RANK", "0"},
             {"PMIX_SERVER_URI41", "x.0;tcp4://127.0.0.1:1"}},
            kNoAnswer},
        Bad{"NoNumber",
            {{"PMIX_NAMESPACE", std::string(5000, 'x')},
             {"PMIX_RANK", "zz"},
             {"PMIX_SERVER_URI4", ";;"}},
            kNoAnswer}),
    [](const auto& info) { return std::string(info.param.name); });

// mpirun with what its processes have written.
class LaunchTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("mpirun --version >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "no mpirun here (Debian: apt-get install openmpi-bin)";
    }
    char folder[] = "/tmp/npu-launch-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  // The exit code.
  int launch(const char* what, int processes) {
    const std::string command =
        "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 exec mpirun --oversubscribe "
        "--bind-to none --mca "
        "orte_tmpdir_base " +
        folder_ + " -np " + std::to_string(processes) + " " NPU_CCL_LAUNCHED " " + what + " " +
        folder_ + " >" + folder_ + "/log 2>&1";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string written(const std::string& by) {
    std::ifstream file(folder_ + "/" + by);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // What a process writes that mpirun does not wait for.
  std::string written_at_last(const std::string& by) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    std::string text;
    while (!text.ends_with("end\n") && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      text = written(by);
    }
    return text;
  }
  std::string folder_;
};

TEST_F(LaunchTest, RanksMeetTwiceWithoutAnyVariable) {
  ASSERT_EQ(launch("meet", 3), 0) << written("log") << written("0") << written("1") << written("2");
  for (int rank = 0; rank < 3; rank++) {
    const std::string number = std::to_string(rank);
    const std::string line = "rank " + number + " of 3, local " + number + ", sum 6\n";
    EXPECT_EQ(written(number), line + line);
  }
}

TEST_F(LaunchTest, RanksWaitForRank0NoLongerThanTheyWant) {
  ASSERT_EQ(launch("alone", 2), 0) << written("log");
  EXPECT_TRUE(written("1").starts_with("failed " + std::to_string(NPU_ERROR_DEPENDENCY_FAILED) +
                                       " in time the PMIx server"))
      << written("1");
}

TEST_F(LaunchTest, ARankThatDiesAtTheStartEndsAll) {
  EXPECT_NE(launch("die", 3), 0);
  for (const char* rank : {"1", "2"}) {
    EXPECT_EQ(written(rank).find("end"), std::string::npos) << written(rank);
  }
}

TEST_F(LaunchTest, AServerThatEndsIsAnError) {
  launch("kill", 1);
  const std::string text = written_at_last("0");
  EXPECT_TRUE(
      text.starts_with("failed " + std::to_string(NPU_ERROR_DEPENDENCY_FAILED) + " in time"))
      << text;
}

TEST_F(LaunchTest, AServerThatHangsIsLeftAndNotAskedAgain) {
  launch("stop", 1);
  const std::string text = written_at_last("0");
  EXPECT_TRUE(
      text.starts_with("failed " + std::to_string(NPU_ERROR_DEPENDENCY_FAILED) + " in time"))
      << text;
  EXPECT_NE(text.find("failed " + std::to_string(NPU_ERROR_BUSY) + " in time"), std::string::npos)
      << text;
}

}  // namespace
}  // namespace npu::test
