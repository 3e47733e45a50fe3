// SPDX-License-Identifier: Apache-2.0
// Processes: ranks in processes of their own (ccl_rank), with what they print.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace npu::test {

struct ProcessPlan {
  uint32_t ranks = 4;
  uint64_t seed = 0;
  const char* what = "none";  // the actor does, see rank_main.cpp
  int at = -1;                // before that operation
  uint32_t actor = 0;
  bool all_act = false;
  std::string host = "127.0.0.1";  // of the store
  // Words before the command of a rank.
  std::function<std::vector<std::string>(uint32_t rank)> prefix = {};
};

class Processes {
 public:
  explicit Processes(const ProcessPlan& plan);
  ~Processes();  // those that are left are killed, stopped ones too
  Processes(const Processes&) = delete;

  // The next line that the rank prints; empty: none in time, or it has ended.
  std::string line(uint32_t rank);
  // Of all processes, in user and kernel mode: clock ticks of proc(5).
  uint64_t cpu_ticks() const;
  // What the rank has yet to say until it ends.
  std::string output(uint32_t rank);
  void signal(uint32_t rank, int number) { kill(pids_[rank], number); }

 private:
  void start(const ProcessPlan& plan, uint32_t rank, const std::string& id);
  // False: the end, or no time.
  bool read_more(uint32_t rank);

  std::vector<pid_t> pids_;
  std::vector<int> outs_;
  std::vector<std::string> texts_;
};

// True if the ranks of this test count as of different hosts.
bool is_between_hosts();

}  // namespace npu::test
