// SPDX-License-Identifier: Apache-2.0
// Picture: recordings put together to one file in the trace event format, with counters of each device.
//
// The tracks of devices have numbers of their own in each recording; here each recording gets a range of them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "tools/npu-trace/rate.h"
#include "tools/trace/recording.h"

namespace npu::trace {

enum class Clock {
  kHost,   // calls and work side by side
  kDevice  // work alone, at the times of its queue's own clock
};

class Picture {
 public:
  // Begins a file beside |path|, which appears when finish() has been called.
  static Outcome<Picture> begin(const std::string& path, Clock clock);
  Picture(Picture&&) = default;
  ~Picture();

  // All events of one recording.
  Outcome<RecordingEnd> add(const std::string& recording);
  // Fails where the file could not be written whole.
  Outcome<uint64_t> finish();  // number of works of devices in it

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct Rates {
    Rate bytes;
    Rate macs;
    Rate tensor_ps;
    Rate engine_bytes;
  };
  Picture(std::string path, std::FILE* file, Clock clock);

  void take(Json& event);
  void take_work(const Work& work, Json& event);
  void take_launch(const LaunchEngines& launch);
  void write(const Json& event);
  void write_counter(uint32_t device, const char* name, const char* series, const Rate& rate,
                     double unit);

  std::string path_;
  std::string partial_;  // isa::partial_path() of it
  std::unique_ptr<std::FILE, CloseFile> file_;
  Clock clock_;
  uint64_t recordings_ = 0;
  uint64_t process_ = 0;  // of the present recording
  uint64_t works_ = 0;
  std::map<uint32_t, Rates> rates_;
};

}  // namespace npu::trace
