// SPDX-License-Identifier: Apache-2.0
//
// The program llm from outside: output and exit codes.
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

#include "tests/llm/support.h"

namespace npu::llm::test {
namespace {

struct Outcome {
  int exit_code = -1;
  std::string output;  // stdout and stderr
};

Outcome run_llm(const std::string& arguments) {
  Outcome run;
  FILE* pipe = ::popen((std::string(LLM_PROGRAM) + " " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "popen failed";
    return run;
  }
  char buffer[4096];
  size_t got = 0;
  while ((got = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0) run.output.append(buffer, got);
  const int status = ::pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return run;
}

bool contains(const Outcome& run, const std::string& text) {
  return run.output.find(text) != std::string::npos;
}

TEST(Program, WritesTheShippedTextAndTellsItsSpeed) {
  const Outcome run = run_llm("--temperature 0 --count 40 --check");
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_TRUE(contains(run, "ROMEO:\nAnd then the world of the world")) << run.output;
  EXPECT_TRUE(contains(run, "tokens/s host clock")) << run.output;
  EXPECT_TRUE(contains(run, "tokens/s device clock")) << run.output;
  EXPECT_TRUE(contains(run, "gemm: q, k, v")) << run.output;
  EXPECT_TRUE(contains(run, "checked: 40 choices agree")) << run.output;
}

TEST(Program, RunsWithoutArgumentsAndTheSameSeedWritesTheSameText) {
  const Outcome first = run_llm(""), second = run_llm("--seed 1");
  EXPECT_EQ(first.exit_code, 0) << first.output;
  EXPECT_EQ(second.exit_code, 0) << second.output;
  const auto text = [](const Outcome& run) {
    return run.output.substr(0, run.output.find("tokens/s"));
  };
  EXPECT_EQ(text(first).substr(0, 300), text(second).substr(0, 300));
  EXPECT_TRUE(contains(first, "ROMEO:"));
}

TEST(Program, EndsWithOneWhenItsTextCannotBeWritten) {
  const Outcome run = run_llm("--count 2 2>&1 >/dev/full #");
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_TRUE(contains(run, "standard output")) << run.output;
}

TEST(Program, RunsInBf16) {
  const Outcome run = run_llm("--type bf16 --temperature 0 --count 20 --profile");
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_TRUE(contains(run, "as bf16")) << run.output;
  EXPECT_TRUE(contains(run, "Device time of the prompt")) << run.output;
}

TEST(Program, EndsWithTwoForAWrongCommandLine) {
  for (const char* arguments : {"--unknown", "--count many", "--type int3", "--model only.bin",
                                "--temperature=-1 --count 1"}) {
    const Outcome run = run_llm(arguments);
    EXPECT_EQ(run.exit_code, 2) << arguments << "\n" << run.output;
    EXPECT_FALSE(run.output.empty());
  }
}

TEST(Program, EndsWithOneAndARemedyForFilesThatAreMissingOrCut) {
  const TemporaryFolder folder;
  const Outcome missing = run_llm("--model " + folder.path("none.bin") + " --tokenizer x");
  EXPECT_EQ(missing.exit_code, 1) << missing.output;
  EXPECT_TRUE(contains(missing, "none.bin")) << missing.output;

  const std::string whole = read_text(source_path(kShippedModel));
  std::ofstream(folder.path("cut.safetensors"), std::ios::binary)
      .write(whole.data(), static_cast<std::streamsize>(whole.size() / 2));
  const Outcome cut = run_llm("--model " + folder.path("cut.safetensors") + " --tokenizer " +
                              source_path(kShippedTokenizer));
  EXPECT_EQ(cut.exit_code, 1) << cut.output;
  EXPECT_TRUE(contains(cut, "truncated")) << cut.output;
}

TEST(Program, EndsWithOneAndTheLibrarysRemedyWhenThereIsNoSuchDevice) {
  const Outcome run = run_llm("--device 15");
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_TRUE(contains(run, "NPU_ERROR_NO_DEVICE")) << run.output;
}

}  // namespace
}  // namespace npu::llm::test
