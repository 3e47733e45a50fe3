// SPDX-License-Identifier: Apache-2.0
// PyTorch's CPU operators as a peer: a process in the tree that peers.sh makes, which is asked line by line (torch_peer.py) and sleeps in between.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>

namespace npu::bench {

class TorchPeer {
 public:
  // nullptr: there is no tree, or PyTorch does not start; a line on stderr says what to do.
  static std::unique_ptr<TorchPeer> find();
  ~TorchPeer();
  TorchPeer(const TorchPeer&) = delete;
  TorchPeer& operator=(const TorchPeer&) = delete;

  const std::string& name() const { return name_; }
  // Seconds of one call of what is asked for. A process that answers otherwise ends the program.
  double seconds(const std::string& request);

 private:
  TorchPeer(pid_t pid, std::FILE* to, std::FILE* from) : pid_(pid), to_(to), from_(from) {}
  std::string ask(const std::string& request);  // empty: no answer

  const pid_t pid_;
  std::FILE* const to_;
  std::FILE* const from_;
  std::string name_;
};

}  // namespace npu::bench
