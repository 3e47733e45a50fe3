// SPDX-License-Identifier: Apache-2.0
// A ring of 64-byte records that the device writes into host memory for its driver: events and
// errors alike.
//
// Thread safety: any thread. Memory ordering: a record is written whole, then its seq with release;
// the driver loads seq with acquire.
#ifndef NPU_MODEL_DEVICE_RECORD_RING_H_
#define NPU_MODEL_DEVICE_RECORD_RING_H_

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <mutex>

#include "firmware-model/device/npu_device.h"
#include "uapi/npu_status.h"

namespace npu::model {

class RecordRing {
 public:
  // The first word is the seq.
  using Record = std::array<uint64_t, 8>;

  // |make_overflow| makes the record that says how many before it were lost.
  RecordRing(const npu_device_ports& ports, std::function<Record(uint64_t lost)> make_overflow)
      : ports_(ports), make_overflow_(std::move(make_overflow)) {}

  // |entries| 0 takes the ring away; after the return nothing is written to the old one.
  npu_status configure(uint64_t iova, uint64_t entries);
  void forget_lost();
  // Writes one record; its seq is set here. Without a ring, or when its memory has gone, the record
  // is counted as lost: an overflow record then comes before the next one.
  template <typename T>
  void post(const T& record) {
    static_assert(sizeof(T) == sizeof(Record));
    post_words(std::bit_cast<Record>(record));
  }

 private:
  void post_words(const Record& record);
  bool write(Record record);

  const npu_device_ports& ports_;
  const std::function<Record(uint64_t)> make_overflow_;
  std::mutex mutex_;
  uint64_t iova_ = 0;
  uint64_t entries_ = 0;
  uint64_t written_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_RECORD_RING_H_
