// SPDX-License-Identifier: Apache-2.0
// A daemon of one's own, and what it holds.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "tests/soak/judge.h"

namespace npu::soak {

class Daemon {
 public:
  // Starts |program| on |socket|; ends this process when it does not become ready.
  Daemon(const std::string& program, const std::string& profiles, const std::string& socket,
         Limits limits);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  pid_t pid() const { return pid_; }
  bool is_running();
  // "runs", or how it has ended.
  std::string state();
  int descriptors() const;
  // Resident memory that is no file's and not shared: its own books.
  uint64_t own_bytes() const;
  // Asks it to end; true: it did, with success.
  bool end();

 private:
  Limits limits_;
  pid_t pid_ = -1;
};

}  // namespace npu::soak
