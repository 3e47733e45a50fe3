// SPDX-License-Identifier: Apache-2.0
// A thread that calls random functions and keeps enough objects alive for them, and the table of all functions.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "tests/api_fuzz/fuzzer.h"

namespace npu::fuzz {

struct Function {
  const char* name;
  npuResult (*call)(Fuzzer& f, const char* const* names);
  const char* const* parameters;
};
extern const Function kFunctions[];
extern const size_t kFunctionCount;

struct Tally {
  uint64_t calls = 0;
  uint64_t successes = 0;
  int64_t time_ns = 0;
};

class Lane {
 public:
  Lane(World& world, uint64_t seed) : fuzzer_(world, seed), tallies_(kFunctionCount) {}

  // |calls| random calls. |tended|: objects are made so that calls can succeed.
  void run(uint64_t calls, bool tended);
  const std::vector<Tally>& tallies() const { return tallies_; }
  // When the call under way began, in nanoseconds of the steady clock; 0: none.
  int64_t busy_since() const { return since_.load(std::memory_order_relaxed); }
  uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }
  Fuzzer& fuzzer() { return fuzzer_; }

 private:
  npuResult call(size_t number);
  void force(const char* name);
  void tend();
  void tend_queue();
  void trim();

  Fuzzer fuzzer_;
  std::vector<Tally> tallies_;
  std::atomic<int64_t> since_{0};
  std::atomic<uint64_t> calls_{0};
};

int64_t now_ns();

// Ends everything that |world| knows, in random order.
void end_all(World& world, Rng& rng);

}  // namespace npu::fuzz
