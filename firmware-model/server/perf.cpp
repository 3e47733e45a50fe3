// SPDX-License-Identifier: Apache-2.0
// Counter streams: one datagram a record, so that read() gives whole records.
#include "firmware-model/server/perf.h"

#include <errno.h>
#include <sys/socket.h>

#include <cstring>

#include "firmware-model/server/device.h"

namespace npu::model::server {

int PerfStream::open(Device* device, const std::shared_ptr<Account>& account, int64_t period_ns,
                     std::vector<uint32_t> counters, UniqueFd* reader) {
  if (!charge_.take(account, Resource::kPerf, 1)) return EDQUOT;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return ENOMEM;
  *reader = UniqueFd(pair[0]);
  socket_ = UniqueFd(pair[1]);
  device_ = device;
  counters_ = std::move(counters);
  period_ns_ = period_ns;
  due_ns_ = monotonic_ns() + period_ns;
  return 0;
}

bool PerfStream::tick(int64_t now_ns) {
  if (now_ns < due_ns_) return true;
  // Records that nobody could take in time are not made up for.
  due_ns_ += (1 + (now_ns - due_ns_) / period_ns_) * period_ns_;
  std::vector<uint64_t> words(sizeof(npu_perf_record) / 8 + counters_.size());
  npu_perf_record record{};
  record.bytes = static_cast<uint32_t>(words.size() * 8);
  record.lost = lost_;
  record.time_ns = now_ns;
  record.device_time_ps = device_->reg(NPU_REG_TIME_PS);
  for (size_t i = 0; i < counters_.size(); ++i) {
    const npu_metric metric = device_->metrics().one(counters_[i]);
    if ((metric.flags & NPU_METRIC_FLAG_VALID) != 0) record.valid |= 1ull << i;
    words[sizeof(record) / 8 + i] = static_cast<uint64_t>(metric.value);
  }
  std::memcpy(words.data(), &record, sizeof(record));
  const ssize_t n = send(socket_.get(), words.data(), record.bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) return false;
  lost_ = n < 0 ? lost_ + 1 : 0;
  return true;
}

}  // namespace npu::model::server
