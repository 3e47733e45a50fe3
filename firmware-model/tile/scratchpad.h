// SPDX-License-Identifier: Apache-2.0
// Zero-filled host memory behind one scratchpad; a page costs nothing until it is touched.
//
// Thread safety: belongs to one Worker, hence to one thread at a time.
#ifndef NPU_MODEL_TILE_SCRATCHPAD_H_
#define NPU_MODEL_TILE_SCRATCHPAD_H_

#include <cstddef>
#include <cstdint>

namespace npu::model {

class Scratchpad {
 public:
  Scratchpad() = default;
  ~Scratchpad();
  Scratchpad(const Scratchpad&) = delete;
  Scratchpad& operator=(const Scratchpad&) = delete;

  // Reserves |bytes| of zeros at a page boundary. False: the host has no address space left. A
  // second call with the same size does nothing.
  bool reserve(size_t bytes) { return bytes == bytes_ || map(bytes); }

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  // The first |bytes| may be written from now on.
  void mark_dirty(size_t bytes) {
    if (bytes > dirty_bytes_) dirty_bytes_ = bytes;
  }
  // Zeroes what was marked since the last clear.
  void clear();

 private:
  bool map(size_t bytes);

  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  size_t dirty_bytes_ = 0;
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_SCRATCHPAD_H_
