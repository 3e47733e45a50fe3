// SPDX-License-Identifier: Apache-2.0
//
// The same prompt gives the same bytes and the same device times, whatever the number of model
// threads and whichever road.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "tests/llm/support.h"

namespace npu::llm::test {
namespace {

// What a run leaves: sums over the bits of all logits, and over all device times.
struct Trace {
  uint64_t logits = 0;
  uint64_t times = 0;
  uint64_t tokens = 0;  // 0: the run failed
};

uint64_t mix(uint64_t sum, uint64_t value) {
  return (sum ^ value) * 0x100000001b3ull + (sum >> 29);
}

void add_times(const KernelProfile& profile, Trace& trace) {
  for (const KernelProfile::Row& row : profile.rows) trace.times = mix(trace.times, row.busy_ps);
  trace.times = mix(trace.times, profile.elapsed_ps);
  trace.tokens += profile.tokens;
}

Trace run_model() {
  Trace trace;
  const Checkpoint checkpoint = shipped_model();
  auto model = on_npu(checkpoint);
  if (!model) return trace;
  const auto tokens = some_tokens(40, checkpoint.config.vocabulary);
  for (uint32_t position = 0; position < tokens.size();) {
    const uint32_t count = position == 0 ? 20 : 1;
    const auto begin = tokens.begin() + position;
    for (float logit : evaluate(*model, {begin, begin + count}, position)) {
      uint32_t bits = 0;
      std::memcpy(&bits, &logit, sizeof(bits));
      trace.logits = mix(trace.logits, bits);
    }
    position += count;
  }
  add_times(model->prefill_profile(), trace);
  add_times(model->decode_profile(), trace);
  return trace;
}

// In a process of its own, since the number of threads is fixed when the model starts; and with a
// runtime folder of its own, since a daemon that runs already has its number.
Trace run_with(const char* device, const char* threads) {
  const TemporaryFolder folder;
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("NPU_DEVICE", device, 1);
    ::setenv("NPU_MODEL_THREADS", threads, 1);
    ::setenv("XDG_RUNTIME_DIR", folder.path("").c_str(), 1);
    const Trace trace = run_model();
    const bool written = ::write(ends[1], &trace, sizeof(trace)) == ssize_t{sizeof(trace)};
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  Trace trace;
  EXPECT_EQ(::read(ends[0], &trace, sizeof(trace)), ssize_t{sizeof(trace)});
  ::close(ends[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  return trace;
}

TEST(Determinism, ThreadsAndRoadsChangeNeitherLogitsNorDeviceTimes) {
  const Trace wanted = run_with("inproc", "1");
  ASSERT_EQ(wanted.tokens, 40u);
  struct Setting {
    const char *device, *threads;
  };
  for (const Setting& run :
       {Setting{"inproc", "2"}, Setting{"model", "1"}, Setting{"model", "2"}}) {
    SCOPED_TRACE(std::string(run.device) + " with threads: " + run.threads);
    const Trace got = run_with(run.device, run.threads);
    EXPECT_EQ(got.tokens, wanted.tokens);
    EXPECT_EQ(got.logits, wanted.logits);
    EXPECT_EQ(got.times, wanted.times);
  }
}

}  // namespace
}  // namespace npu::llm::test
