// SPDX-License-Identifier: Apache-2.0
// A stream of counter samples to one client (PERF_OPEN).
//
// Thread safety: the I/O thread owns it. A reader that is slow loses records and is told how many.
#ifndef NPU_MODEL_SERVER_PERF_H_
#define NPU_MODEL_SERVER_PERF_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "firmware-model/server/account.h"
#include "firmware-model/server/unique_fd.h"
#include "uapi/npu_accel.h"

namespace npu::model::server {

class Device;

class PerfStream {
 public:
  // 0 or an errno; |reader| is the client's end.
  int open(Device* device, const std::shared_ptr<Account>& account, int64_t period_ns,
           std::vector<uint32_t> counters, UniqueFd* reader);

  int64_t due_ns() const { return due_ns_; }
  // Sends a record when it is time. False: the reader has gone.
  bool tick(int64_t now_ns);

 private:
  Device* device_ = nullptr;
  Charge charge_;
  UniqueFd socket_;
  std::vector<uint32_t> counters_;
  int64_t period_ns_ = 0;
  int64_t due_ns_ = 0;
  uint32_t lost_ = 0;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_PERF_H_
