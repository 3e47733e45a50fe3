// SPDX-License-Identifier: Apache-2.0
// A program that runs with NPU_TRACE set, and the recordings of its processes.
// Thread safety: one at a time in a process, since it takes over signals while the program runs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/isa/outcome.h"
#include "tools/trace/arguments.h"

namespace npu::trace {

using isa::Failure;
using isa::Outcome;

// What the processes of a program left behind.
struct Recordings {
  std::vector<std::string> calls;    // of libnpu: of each process, sorted by its number
  std::vector<std::string> engines;  // of device models that were asked for it
};

// A folder that goes with all that is in it.
class TemporaryFolder {
 public:
  // Below |parent|.
  static Outcome<TemporaryFolder> make(const std::string& parent);
  TemporaryFolder(TemporaryFolder&& other) noexcept;
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();

  const std::string& path() const { return path_; }
  Recordings recordings() const;

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Why no file could be made at |path|; asked before a program runs for hours.
std::optional<Failure> why_not_writable(const std::string& path);

// Where recordings are kept that nobody asked for: TMPDIR, else /tmp.
std::string temporary_parent();

// Runs |program| to its end; each process of it that starts libnpu leaves a recording in |folder|, as |source| says. SIGTERM and SIGHUP are handed on to it; SIGINT and SIGQUIT come to it from
// the terminal. The exit code, as in arguments.h; why it could not be started is printed for |tool|.
int run_program(const char* tool, const std::vector<std::string>& program,
                const TemporaryFolder& folder, const Source& source);

// Runs |program| with its recordings in a folder below |parent|, and hands these to tell(recordings, exit code of the program), which gives an exit code of its own; the program's where that is kExitDone.
// Without any, says that there is nothing to |verb| ("draw").
int run_and_tell(const char* tool, const std::vector<std::string>& program,
                 const std::string& parent, const Source& source, const std::string& verb,
                 const std::function<int(const Recordings& recordings, int exit_code)>& tell);

}  // namespace npu::trace
