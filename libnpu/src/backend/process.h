// SPDX-License-Identifier: Apache-2.0
// What the library asks of its process: forks, descriptors that a forked child must not keep, CPUs, files, the place of the library itself.
// Thread safety: all functions.
#pragma once

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace npu {

// Calls the three functions around every fork of this process; once. 0 or an errno.
int watch_forks(void (*before)(), void (*in_parent)(), void (*in_child)());

// Descriptors that a forked child closes: its copies would hide the end of the parent from the server. Registering is idempotent.
void keep_from_children(int fd);
void forget_descriptor(int fd);
void close_descriptors_in_child();  // only in the child, only async-signal-safe calls

// Blocks all signals of this thread for its life; a thread that is started meanwhile never gets one.
class SignalBlock {
 public:
  SignalBlock();
  ~SignalBlock();
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;

 private:
  sigset_t before_;
};

// Numbers of this process and of this thread, as the kernel and debuggers count them.
uint64_t process_id();
uint64_t thread_id();

// CPUs that this process may use, at least 1.
uint32_t usable_cpus();

// The whole file, at most |limit_bytes|. 0, EFBIG, or another errno.
int read_file(const char* path, uint64_t limit_bytes, std::vector<std::byte>* out);

// Folder of the file that holds this code ("/usr/lib/x86_64-linux-gnu"); empty when it cannot be told.
std::string library_folder();

}  // namespace npu
