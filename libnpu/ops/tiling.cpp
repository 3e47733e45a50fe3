// SPDX-License-Identifier: Apache-2.0
// Weights in tiles on the host: the scales and the words of 16 blocks change places, nothing else.
#include "libnpu/ops/tiling.h"

#include <cinttypes>
#include <memory>
#include <new>

#include "libnpu/ops/tensor.h"

namespace npu::ops {
namespace {

constexpr uint32_t kRows = NPU_OPS_TILE_ROWS, kScaleBytes = 2, kWordBytes = 4;

// Moves the parts of the blocks of kRows rows between rows and tiles.
template <Tiling kWay>
void move_rows(uint32_t block_bytes, uint64_t blocks, const std::byte* src, std::byte* dst) {
  const uint64_t row_bytes = blocks * block_bytes;
  const uint32_t words = (block_bytes - kScaleBytes) / kWordBytes;
  for (uint64_t i = 0; i < blocks; ++i) {
    for (uint32_t row = 0; row < kRows; ++row) {
      const uint64_t block = row * row_bytes + i * block_bytes;
      const uint64_t tile = i * block_bytes * kRows;
      const auto move = [&](uint64_t in_rows, uint64_t in_tiles, uint32_t bytes) {
        if constexpr (kWay == Tiling::kToTiles)
          std::memcpy(dst + tile + in_tiles, src + block + in_rows, bytes);
        else
          std::memcpy(dst + block + in_rows, src + tile + in_tiles, bytes);
      };
      move(0, row * kScaleBytes, kScaleBytes);
      for (uint32_t word = 0; word < words; ++word)
        move(kScaleBytes + word * kWordBytes,
             kRows * (kScaleBytes + word * kWordBytes) + row * kWordBytes, kWordBytes);
    }
  }
}

npuResult check_memory(const void* src, const void* dst, uint64_t bytes) {
  if (src == nullptr || dst == nullptr)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "%s is NULL", src == nullptr ? "src" : "dst");
  const auto from = reinterpret_cast<uintptr_t>(src), to = reinterpret_cast<uintptr_t>(dst);
  if (UINTPTR_MAX - from < bytes || UINTPTR_MAX - to < bytes)
    return fail(NPU_ERROR_OVERFLOW, "%" PRIu64 " bytes would end beyond the address space", bytes);
  if (from == to || from + bytes <= to || to + bytes <= from) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT,
              "src and dst overlap: they are one address, or apart by %" PRIu64 " bytes", bytes);
}

}  // namespace

npuResult tile_weights(Tiling way, npuDataType type, uint64_t rows, uint64_t cols, const void* src,
                       void* dst) {
  if (!is_type(type) || (kTiledTypes & type_bit(type)) == 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "type is %" PRId32 "; Q8_0 and Q4_0 have tiles", type);
  const TypeLayout layout = layout_of(type);
  if (rows % kRows != 0 || cols % layout.block_elements != 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%" PRIu64 " rows of %" PRIu64 " elements; tiles have %" PRIu32 " of %" PRIu32,
                rows, cols, kRows, layout.block_elements);
  const uint64_t blocks = cols / layout.block_elements;
  if (rows == 0 || blocks == 0) return NPU_OK;
  uint64_t part_bytes, bytes;
  if (__builtin_mul_overflow(blocks, uint64_t{kRows} * layout.block_bytes, &part_bytes) ||
      __builtin_mul_overflow(part_bytes, rows / kRows, &bytes))
    return fail(NPU_ERROR_OVERFLOW, "%" PRIu64 " rows of %" PRIu64 " elements are too large", rows,
                cols);
  NPU_OPS_TRY(check_memory(src, dst, bytes));
  const auto move =
      way == Tiling::kToTiles ? move_rows<Tiling::kToTiles> : move_rows<Tiling::kToRows>;
  const auto* from = static_cast<const std::byte*>(src);
  auto* to = static_cast<std::byte*>(dst);
  std::unique_ptr<std::byte[]> aside;
  if (src == dst) {
    aside.reset(new (std::nothrow) std::byte[part_bytes]);
    if (aside == nullptr)
      return fail(NPU_ERROR_OUT_OF_HOST_MEMORY, "no %" PRIu64 " bytes for 16 rows", part_bytes);
  }
  for (uint64_t at = 0; at < bytes; at += part_bytes) {
    const std::byte* part = from + at;
    if (aside != nullptr) {
      std::memcpy(aside.get(), part, part_bytes);
      part = aside.get();
    }
    move(layout.block_bytes, blocks, part, to + at);
  }
  return NPU_OK;
}

}  // namespace npu::ops
