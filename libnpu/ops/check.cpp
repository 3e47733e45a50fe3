// SPDX-License-Identifier: Apache-2.0
// The checks; arithmetic that cannot wrap.
#include "libnpu/ops/check.h"

#include <algorithm>
#include <cinttypes>

namespace npu::ops {
namespace {

constexpr uint32_t kStructMax = 4096;

// a * b + c, or false when that does not fit.
bool mul_add(uint64_t a, uint64_t b, uint64_t c, uint64_t* out) {
  uint64_t product;
  return !__builtin_mul_overflow(a, b, &product) && !__builtin_add_overflow(product, c, out);
}

}  // namespace

npuResult read_struct(const void* from, void* to, uint32_t size_bytes, uint32_t first_bytes) {
  if (from == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "info is NULL");
  uint32_t given_bytes;
  std::memcpy(&given_bytes, from, sizeof(given_bytes));
  if (given_bytes < first_bytes || given_bytes > kStructMax) {
    return fail(NPU_ERROR_STRUCT_SIZE,
                "struct_size is %" PRIu32 ", the struct has %" PRIu32 " bytes", given_bytes,
                size_bytes);
  }
  const auto* bytes = static_cast<const unsigned char*>(from);
  const uint32_t known_bytes = std::min(size_bytes, given_bytes);
  if (std::any_of(bytes + known_bytes, bytes + given_bytes,
                  [](unsigned char b) { return b != 0; })) {
    return fail(NPU_ERROR_RESERVED_NOT_ZERO,
                "members that this version of the library does not know are not zero");
  }
  std::memset(to, 0, size_bytes);
  std::memcpy(to, from, known_bytes);
  return NPU_OK;
}

npuResult check_type(const char* name, npuDataType type) {
  if (type == NPU_FLOAT32 || type == NPU_BFLOAT16) return NPU_OK;
  if (is_type(type)) {
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "%s is %" PRId32 ": this operator takes NPU_FLOAT32 and NPU_BFLOAT16", name, type);
  }
  return fail(NPU_ERROR_INVALID_ARGUMENT, "%s is %" PRId32 ", which is no type", name, type);
}

npuResult check_count(const char* name, uint64_t count) {
  if (count <= kCountMax) return NPU_OK;
  return fail(NPU_ERROR_OVERFLOW, "%s is %" PRIu64 ", more than 2147483647", name, count);
}

npuResult check_enum(const char* name, int64_t value, int64_t count) {
  if (value >= 0 && value < count) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "%s is %" PRId64 ", which has no meaning", name, value);
}

npuResult check_limit(const char* name, uint64_t value, uint64_t limit) {
  if (value <= limit) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED, "%s is %" PRIu64 "; the limit is %" PRIu64, name, value,
              limit);
}

npuResult check_zero(const char* name, uint64_t value) {
  if (value == 0) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "%s must be 0 here, not %" PRIu64, name, value);
}

npuResult check_reserved(uint64_t value) {
  if (value == 0) return NPU_OK;
  return fail(NPU_ERROR_RESERVED_NOT_ZERO, "reserved is %" PRIu64 ", it must be 0", value);
}

npuResult check_rounding(const npuOpsRounding& rounding, const char* name, npuDataType type) {
  NPU_OPS_TRY(check_enum("rounding.mode", rounding.mode, NPU_OPS_ROUND_STOCHASTIC + 1));
  NPU_OPS_TRY(check_reserved(rounding.reserved));
  if (rounding.mode == NPU_OPS_ROUND_NEAREST) {
    NPU_OPS_TRY(check_zero("rounding.seed without NPU_OPS_ROUND_STOCHASTIC", rounding.seed));
    return check_zero("rounding.first without NPU_OPS_ROUND_STOCHASTIC", rounding.first);
  }
  const bool narrow = type == NPU_BFLOAT16 || type == NPU_FLOAT16 || is_fp8(type) || is_mx(type);
  if (narrow) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED,
              "%s is %" PRId32 ": only bf16, fp16, FP8 and MX are rounded stochastically", name,
              type);
}

npuResult check_extent(Extent* extent) {
  Extent& e = *extent;
  if (e.rows > kCountMax || e.cols > kCountMax) {
    return fail(NPU_ERROR_OVERFLOW,
                "%s: %" PRIu64 " rows of %" PRIu64 " elements: each is at most 2147483647", e.name,
                e.rows, e.cols);
  }
  if (e.ld == 0) e.ld = std::max<uint64_t>(e.cols, 1);
  if (e.rows == 0 || e.cols == 0 || e.batch == 0) return NPU_OK;
  if (e.ld > kCountMax)
    return fail(NPU_ERROR_OVERFLOW, "%s: a distance of %" PRIu64 " elements is too large", e.name,
                e.ld);
  if (e.rows > 1 && e.ld < e.cols) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s: rows of %" PRIu64 " elements cannot lie %" PRIu64 " elements apart", e.name,
                e.cols, e.ld);
  }
  e.ld = std::max(e.ld, e.cols);
  if (e.at == 0) return fail(NPU_ERROR_INVALID_ADDRESS, "%s is 0", e.name);
  const uint32_t align_bytes = e.align_bytes != 0 ? e.align_bytes : e.elem_bytes;
  if (e.at % align_bytes != 0) {
    return fail(NPU_ERROR_UNALIGNED, "%s is 0x%" PRIx64 ", no multiple of %" PRIu32, e.name, e.at,
                align_bytes);
  }
  uint64_t elements, bytes, end;
  // rows, cols and ld are below 2^31: the first sum fits.
  const uint64_t one = (e.rows - 1) * e.ld + e.cols;
  if (!mul_add(e.batch - 1, e.batch_stride, one, &elements) ||
      __builtin_mul_overflow(elements, e.elem_bytes, &bytes) ||
      __builtin_add_overflow(e.at, bytes, &end)) {
    return fail(NPU_ERROR_OVERFLOW, "%s at 0x%" PRIx64 " would end beyond the address space",
                e.name, e.at);
  }
  return NPU_OK;
}

}  // namespace npu::ops
