// SPDX-License-Identifier: Apache-2.0
// Checks of tensors; arithmetic that cannot wrap.
#include "libnpu/ops/tensor.h"

#include <cinttypes>

namespace npu::ops {
namespace {

npuResult check_tensor_type(const char* name, npuDataType type, uint32_t types) {
  if (!is_type(type))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "%s is of type %" PRId32 ", which is none", name, type);
  if ((types & type_bit(type)) != 0) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED, "%s is of type %" PRId32 ", which is not taken here", name,
              type);
}

npuResult check_stride(const char* name, const npuOpsTensor& t, const TypeLayout& layout,
                       uint32_t dim) {
  const uint64_t stride = t.strides[dim];
  if (dim == 0 && layout.block_elements > 1) {
    if (stride == layout.block_bytes) return NPU_OK;
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s: strides[0] is %" PRIu64 ", a block has %" PRIu32 " bytes", name, stride,
                layout.block_bytes);
  }
  if (stride % layout.align_bytes == 0) return NPU_OK;
  return fail(NPU_ERROR_UNALIGNED,
              "%s: strides[%" PRIu32 "] is %" PRIu64 ", no multiple of %" PRIu32, name, dim, stride,
              layout.align_bytes);
}

// Rows of 16 take the bytes of 16 rows by blocks; the device reads a tile from a multiple of 32 bytes on.
npuResult check_tiles(const char* name, const npuOpsTensor& t, uint32_t types) {
  constexpr uint64_t kAlignBytes = 32;
  NPU_OPS_TRY(check_enum("tiled", t.tiled, 2));
  if (t.tiled == 0) return NPU_OK;
  if ((types & kTiled) == 0)
    return fail(NPU_ERROR_NOT_SUPPORTED, "%s is tiled, which is not taken here", name);
  if ((kTiledTypes & type_bit(t.type)) == 0)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "%s is of type %" PRId32 ", of which there are no tiles: Q8_0 and Q4_0 have them",
                name, t.type);
  if (is_empty(t)) return NPU_OK;
  if (t.sizes[1] % NPU_OPS_TILE_ROWS != 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s is tiled: sizes[1] is %" PRIu64 ", no multiple of %d", name, t.sizes[1],
                NPU_OPS_TILE_ROWS);
  const TypeLayout layout = layout_of(t.type);
  const uint64_t row_bytes = t.sizes[0] / layout.block_elements * layout.block_bytes;
  if (t.strides[1] != row_bytes)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "%s is tiled: strides[1] is %" PRIu64 ", a row has %" PRIu64 " bytes", name,
                t.strides[1], row_bytes);
  for (uint32_t dim = 2; dim < kDims; ++dim) {
    if (t.sizes[dim] > 1 && t.strides[dim] % kAlignBytes != 0)
      return fail(NPU_ERROR_UNALIGNED,
                  "%s is tiled: strides[%" PRIu32 "] is %" PRIu64 ", no multiple of %" PRIu64, name,
                  dim, t.strides[dim], kAlignBytes);
  }
  if (t.data % kAlignBytes == 0) return NPU_OK;
  return fail(NPU_ERROR_UNALIGNED, "%s is tiled and at 0x%" PRIx64 ", no multiple of %" PRIu64,
              name, t.data, kAlignBytes);
}

npuResult check_end(const char* name, const npuOpsTensor& t, const TypeLayout& layout) {
  uint64_t end = t.data;
  for (uint32_t dim = 0; dim < kDims; ++dim) {
    const uint64_t size = dim == 0 ? t.sizes[0] / layout.block_elements : t.sizes[dim];
    uint64_t bytes;
    if (__builtin_mul_overflow(size - 1, t.strides[dim], &bytes) ||
        __builtin_add_overflow(end, bytes, &end)) {
      return fail(NPU_ERROR_OVERFLOW, "%s at 0x%" PRIx64 " would end beyond the address space",
                  name, t.data);
    }
  }
  if (!__builtin_add_overflow(end, uint64_t{layout.block_bytes}, &end)) return NPU_OK;
  return fail(NPU_ERROR_OVERFLOW, "%s at 0x%" PRIx64 " would end beyond the address space", name,
              t.data);
}

}  // namespace

npuOpsTensor as_words(npuOpsTensor t) {
  const TypeLayout layout = layout_of(t.type);
  t.type = NPU_FLOAT16;
  t.sizes[0] = t.sizes[0] / layout.block_elements * (layout.block_bytes / 2);
  t.strides[0] = 2;
  return t;
}

npuResult check_tensor(const char* name, const npuOpsTensor& t, uint32_t types) {
  NPU_OPS_TRY(check_tensor_type(name, t.type, types));
  NPU_OPS_TRY(check_tiles(name, t, types));
  const TypeLayout layout = layout_of(t.type);
  for (uint32_t dim = 0; dim < kDims; ++dim) {
    if (t.sizes[dim] > kCountMax)
      return fail(NPU_ERROR_OVERFLOW, "%s: sizes[%" PRIu32 "] is %" PRIu64 ", more than 2147483647",
                  name, dim, t.sizes[dim]);
  }
  if (t.sizes[0] % layout.block_elements != 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s: sizes[0] is %" PRIu64 ", no multiple of the block of %" PRIu32, name,
                t.sizes[0], layout.block_elements);
  if (is_empty(t)) return NPU_OK;
  for (uint32_t dim = 0; dim < kDims; ++dim) {
    if (t.sizes[dim] > 1) NPU_OPS_TRY(check_stride(name, t, layout, dim));
  }
  if (t.data == 0) return fail(NPU_ERROR_INVALID_ADDRESS, "%s is 0", name);
  if (t.data % layout.align_bytes != 0)
    return fail(NPU_ERROR_UNALIGNED, "%s is 0x%" PRIx64 ", no multiple of %" PRIu32, name, t.data,
                layout.align_bytes);
  return check_end(name, t, layout);
}

npuResult check_tiled_integers(uint32_t asked, const npuOpsTensor& a) {
  if (a.tiled == 0 || asked != 0) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED, "a is tiled and integers is 0: tiles have integers only");
}

npuResult check_same_sizes(const char* a_name, const npuOpsTensor& a, const char* b_name,
                           const npuOpsTensor& b) {
  for (uint32_t dim = 0; dim < kDims; ++dim) {
    if (a.sizes[dim] == b.sizes[dim]) continue;
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s and %s differ in dimension %" PRIu32 ": %" PRIu64 " and %" PRIu64, a_name,
                b_name, dim, a.sizes[dim], b.sizes[dim]);
  }
  return NPU_OK;
}

npuResult check_repeats(const char* b_name, const npuOpsTensor& b, const char* a_name,
                        const npuOpsTensor& a, uint32_t first) {
  for (uint32_t dim = first; dim < kDims; ++dim) {
    if (b.sizes[dim] == 0 ? a.sizes[dim] == 0 : a.sizes[dim] % b.sizes[dim] == 0) continue;
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s does not repeat over %s in dimension %" PRIu32 ": %" PRIu64 " and %" PRIu64,
                b_name, a_name, dim, b.sizes[dim], a.sizes[dim]);
  }
  return NPU_OK;
}

npuResult check_unnamed(const char* name, const npuOpsTensor& t) {
  const npuOpsTensor none{};
  if (std::memcmp(&t, &none, sizeof(t)) == 0) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "%s is given, and nothing uses it", name);
}

Span span_of(const npuOpsTensor& t) {
  if (is_absent(t) || is_empty(t)) return {};
  const TypeLayout l = layout_of(t.type);
  uint64_t last = (t.sizes[0] / l.block_elements - 1) * t.strides[0];
  for (uint32_t dim = 1; dim < kDims; ++dim) last += (t.sizes[dim] - 1) * t.strides[dim];
  return {t.data, t.data + last + l.block_bytes};
}

}  // namespace npu::ops
