// SPDX-License-Identifier: Apache-2.0
// Weights in tiles. A tensor of Q8_0 or Q4_0 that was written as a whole into a buffer of weights lies there in the layout that products of integers read fastest (npuOpsTileWeights). Nobody else
// notices: the host reads and writes its rows through this class, operators that take no tiles read a copy by rows, which is made when the first such graph comes, and a graph that writes into the
// tensor ends its tiles.
// Thread safety: all functions, of tensors that nobody writes meanwhile (ggml's own rule).
#ifndef INTEGRATIONS_GGML_WEIGHTS_H_
#define INTEGRATIONS_GGML_WEIGHTS_H_

#include <ggml.h>
#include <npu/npu.h>
#include <npu/npu_tensor.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

namespace npu::ggml {

class Weights {
 public:
  // Those that |tensor| is, or is a view of, if they are in tiles; else nullptr. For operands of a graph.
  static Weights* in_tiles(const ggml_tensor* tensor);
  // The same in any state; nullptr: the host has not written to a tensor that could have tiles.
  static Weights* of(const ggml_tensor* tensor);
  // Whether a tensor of a buffer of weights gets tiles once it has been written.
  static bool may_have_tiles(const ggml_tensor* tensor);
  // Whether a copy of one tensor to the other is the host's affair, since their layouts may differ.
  static bool need_the_host(const ggml_tensor* from, const ggml_tensor* to) {
    return of(from) != nullptr || of(to) != nullptr || may_have_tiles(to);
  }
  // Changes with each tensor's layout: what was derived from one has to be derived anew.
  static uint64_t generation();

  Weights(npuContext context, const ggml_tensor* tensor);
  ~Weights();  // the copy goes; the tensor's memory is its buffer's
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  // Bytes of the tensor's rows, from and to the host. The last bytes of the whole tensor, written in order, bring it into tiles.
  npuResult write(const void* from, uint64_t offset, uint64_t bytes);
  npuResult read(void* to, uint64_t offset, uint64_t bytes);
  // Rows again, until the tensor is written as a whole once more. Graphs that use it must have ended.
  npuResult end_tiles();

  bool has_tiles() const { return tiled_.load(std::memory_order_acquire); }
  // The copy by rows, for as long as the tensor is in tiles: kept until the buffer goes.
  npuResult make_copy();
  npuDevPtr copy() const { return copy_.load(std::memory_order_acquire); }  // 0: there is none
  npuDevPtr data() const { return data_; }
  uint64_t size_bytes() const { return bytes_; }

 private:
  using Piece = std::function<npuResult(std::byte* piece, uint64_t offset, uint64_t bytes)>;
  npuResult for_pieces(uint64_t offset, uint64_t bytes, const Piece& each);
  npuResult tile(std::byte* piece, uint64_t bytes) const;
  npuResult untile(std::byte* piece, uint64_t bytes) const;
  npuResult fetch_rows(std::byte* piece, uint64_t offset, uint64_t bytes) const;
  npuResult store_tiles(std::byte* piece, uint64_t offset, uint64_t bytes);
  npuResult end_tiles_locked();
  npuResult begin_tiles_locked(const void* rows);
  void set_tiled(bool tiled);

  const npuContext context_;
  const npuDevPtr data_;
  const npuDataType type_;
  const uint64_t cols_, strip_bytes_, bytes_;  // a strip: the rows of a tile
  std::mutex mutex_;
  std::atomic<bool> tiled_{false};
  std::atomic<npuDevPtr> copy_{0};
  uint64_t written_bytes_ = 0;  // in order, since byte 0 was written
  std::vector<std::byte> piece_;
};

// Whether this product reads its weights in tiles, if they have any: all of them, or whole tiles of each matrix, and vectors in fp32.
bool takes_tiles(const ggml_tensor* node);

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_WEIGHTS_H_
