// SPDX-License-Identifier: Apache-2.0
// The file into which the devices of a server write what their engines do (device/engine_trace.h): one recording, as npu-trace reads it.
//
// Thread safety: constant; devices append by themselves.
#ifndef NPU_MODEL_SERVER_ENGINE_FILE_H_
#define NPU_MODEL_SERVER_ENGINE_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "firmware-model/device/npu_device.h"
#include "firmware-model/server/unique_fd.h"

namespace npu::model::server {

class EngineFile {
 public:
  // By NPU_MODEL_ENGINES (a path; %p becomes the number of this process; left out: |out| is null), NPU_MODEL_ENGINE_TILES (1..16384, else all) and NPU_RECORD_MAX_MB (1..1048576,
  // else 1024; for each device). Makes the file anew. False: |error| has a sentence with cause and remedy.
  static bool from_environment(std::shared_ptr<EngineFile>* out, std::string* error);
  // Ends the list.
  ~EngineFile();
  EngineFile(const EngineFile&) = delete;
  EngineFile& operator=(const EngineFile&) = delete;

  npu_engine_trace of_device(uint32_t index) const;

 private:
  EngineFile() = default;

  UniqueFd fd_;
  uint32_t tiles_ = 0;
  uint64_t limit_bytes_ = 0;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_ENGINE_FILE_H_
