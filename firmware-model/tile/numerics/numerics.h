// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a tile: one function table, two implementations (scalar and SIMD) that agree bit for bit.
//
// The contract
//   * IEEE-754 binary32, round to nearest even, no flush to zero: subnormal operands and results are kept.
//   * NaN: every NaN that a function produces or passes on is the canonical quiet NaN 0x7fc00000 (bf16 0x7fc0, fp16 0x7e00).
//     E4M3 0x7f, E5M2 0x7e. Only the pack_*, transpose_* and mask_row functions move bits unchanged (pack from a narrower type widens, and
//     so canonicalises).
//   * chain: acc = fma(a_k, b_k, acc), k ascending, one rounding a step.
//   * tree:  16 lanes that start at +0; lane l takes k = l, l + 16, ... ascending; then lanes (l, l+8), (l, l+4), (l, l+2),
//            (l, l+1) are added. A lane that has no element left stays as it is.
//   * Fixed polynomials (coefficients.h) instead of libm, evaluated by Horner with fma.
// Operands: a destination may be exactly the same array as a source of the same shape in unary, binary, fma, mask_row, rope_row,
// scale_max and exp_sub_sum; any other overlap is the caller's error. Arrays need the alignment of their element only. No element outside
// of the stated shape is read or written.
// Thread safety: all functions are pure; the tables are immutable. The caller must run with the default rounding mode.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_NUMERICS_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_NUMERICS_H_

#include <cstddef>
#include <cstdint>

namespace npu::model {

inline constexpr size_t kPanelCols = 16;
inline constexpr size_t kTreeLanes = 16;

// C[m, n] = (accumulate ? C : +0) then chain over A[m, k] B[k, n]. A and C are row-major (lda, ldc in floats).
// B(k, j) = b[(j / 16) * b_panel_stride + k * b_k_stride + j % 16]:
//   PANEL layout: b_panel_stride = 16 * rows of a panel, b_k_stride = 16
//   ROW layout:   b_panel_stride = 16, b_k_stride = ldb
struct MmArgs {
  size_t m, n, k;
  const float* a;
  size_t lda;
  const float* b;
  size_t b_panel_stride;
  size_t b_k_stride;
  float* c;
  size_t ldc;
  bool accumulate;
};

// C[m, n] = tree over A[m, k] B[n, k]^T, each lane an fma chain; accumulate: old C + that sum, one addition.
struct DotArgs {
  size_t m, n, k;
  const float* a;
  size_t lda;
  const float* b;
  size_t ldb;
  float* c;
  size_t ldc;
  bool accumulate;
};

// Types that rows of weights come in.
enum class Weight : uint8_t {
  kF32,
  kBf16,
  kF16,
  kQ8_0,
  kQ4_0,
  kQ4_K,
  kQ6_K,
  kE4m3,
  kE5m2,
  kI8,
  kMxE4m3,  // from here on in the order of enum class Mx
  kMxE5m2,
  kMxE2m3,
  kMxE3m2,
  kMxE2m1,
  kMxInt8,
  kMx9,
  kMx6,
  kMx4,
  kCount
};

// As DotArgs, where row j of B begins at b + j * b_stride_bytes and is of type |weight|: k is a multiple of its block. As if B had been widened or decoded before.
struct StreamArgs {
  size_t m, n, k;
  const float* a;
  size_t lda;
  Weight weight;
  const std::byte* b;  // with the alignment of its elements
  size_t b_stride_bytes;
  float* c;
  size_t ldc;
  bool accumulate;
};

// A block of Q8_0 as products by integers read it: opened once for all rows of weights that it meets.
struct RoundedBlock {
  static constexpr size_t kElements = 32;
  int8_t q[kElements];
  float scale;
  int32_t minus_sum;  // of q: what weights that are made unsigned have too much, but for a factor
};

// MMS with INTEGER: row i of A is k / 32 blocks at a + i * lda, |weight| is kQ8_0 or kQ4_0; the rest as StreamArgs. Each element of C is a chain over the blocks: acc = fma(exact sum of the 32 products,
// product of the two scales, acc), from +0, or from C with |accumulate|. |tiled|: n is a multiple of 16; each 16 rows of B lie in tiles, from where the first of them would begin.
struct IntegerDotArgs {
  size_t m, n, k;
  const RoundedBlock* a;
  size_t lda;
  Weight weight;
  bool tiled;
  const std::byte* b;  // no alignment
  size_t b_stride_bytes;
  float* c;
  size_t ldc;
  bool accumulate;
};

enum class Elem : uint8_t { kF32, kBf16, kF16, kE4m3, kE5m2, kI8 };

// Elements of one byte.
enum class Small : uint8_t { kE4m3, kE5m2, kI8 };

// Blocks with a scale that is a power of two; the order is that of NPU_DTYPE_MXFP8_E4M3 .. NPU_DTYPE_MX4.
enum class Mx : uint8_t { kE4m3, kE5m2, kE2m3, kE3m2, kE2m1, kInt8, kMx9, kMx6, kMx4, kCount };

// As enum npu_scale_rule.
enum class ScaleRule : uint8_t { kFloor, kCeil, kEven, kWide, kCount };

// Stochastic rounding: element i of an array takes the word of |seed| and |first| + i (philox.h).
struct RandomRounding {
  uint64_t seed;
  uint64_t first;
};

// What narrow_random rounds to.
enum class RandomTo : uint8_t { kBf16, kF16, kE4m3, kE5m2 };

// A source matrix for pack_panel: |k| x |n| elements; element (k, j) is src[k * ld + j], or src[j * ld + k] when transposed.
// Destination (k, j) is dst[(j / 16) * dst_panel_stride + k * 16 + j % 16]; the unused columns of the last panel become +0.
struct PackArgs {
  size_t k, n;
  const void* src;
  Elem elem;
  size_t ld;
  bool transposed;
  size_t dst_panel_stride;
};

// The order is that of NPU_OP_NEG .. NPU_OP_COS in uapi/spec/isa.def.
// Bounds cover the largest error seen over every 19th float (a prime step through all exponents); ulp = unit in the last place of
// the exact result.
enum class UnaryOp : uint8_t {
  kNeg,
  kAbs,
  kRelu,     // max(x, +0)
  kExp,      // 0.9 ulp, also of subnormal results; +0 from -104 down, +inf above 88.7228
  kLog,      // 0.9 ulp; -inf at +-0, NaN below
  kSqrt,     // correctly rounded
  kRsqrt,    // 1 / sqrt(x), both correctly rounded
  kRcp,      // correctly rounded
  kTanh,     // 1.4 ulp
  kSigmoid,  // 2.4 ulp where the result is normal
  kErf,      // 1.0 ulp
  kGelu,     // x * sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)); error 1.3e-7 |x|
  kGeluErf,  // x/2 * (1 + erf(x / sqrt 2)); error 1.3e-7 |x|
  kSilu,     // x * sigmoid(x); error 1.3e-7 |x|
  kSin,  // error 1e-7 for every finite x (Cody-Waite up to 2^17, Payne-Hanek above); NaN at infinity
  kCos,
  kCount,
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMax,
  kMin,
  kCount
};  // max, min: NaN if one is NaN; -0 < +0

struct Numerics {
  const char* name;

  // --- products ------------------------------------------------------------------------------------------------------
  void (*mm)(const MmArgs& args);
  void (*dot_rows)(const DotArgs& args);
  void (*dot_stream)(const StreamArgs& args);     // weights of any type but the MX ones
  void (*dot_stream_mx)(const StreamArgs& args);  // the MX ones
  void (*open_q8_0)(RoundedBlock* dst, const std::byte* src, size_t blocks);
  void (*dot_integer)(const IntegerDotArgs& args);

  // --- layout --------------------------------------------------------------------------------------------------------
  void (*pack_panel)(float* dst, const PackArgs& args);
  void (*pack_panel_u16)(
      uint16_t* dst, const PackArgs& args);  // 16-bit elements moved as bits; args.elem is ignored
  void (*pack_panel_u8)(uint8_t* dst, const PackArgs& args);  // the same for elements of a byte
  // dst[j * ldd + i] = src[i * lds + j], i < rows, j < cols
  void (*transpose_u32)(uint32_t* dst, size_t ldd, const uint32_t* src, size_t lds, size_t rows,
                        size_t cols);
  void (*transpose_u16)(uint16_t* dst, size_t ldd, const uint16_t* src, size_t lds, size_t rows,
                        size_t cols);

  void (*transpose_u8)(uint8_t* dst, size_t ldd, const uint8_t* src, size_t lds, size_t rows,
                       size_t cols);

  // --- conversions: to nearest even -----------------------------------------------------------------------------------
  void (*widen_bf16)(float* dst, const uint16_t* src, size_t n);
  void (*narrow_bf16)(uint16_t* dst, const float* src, size_t n);  // overflow gives infinity
  void (*widen_f16)(float* dst, const uint16_t* src, size_t n);
  void (*narrow_f16)(uint16_t* dst, const float* src, size_t n);  // overflow gives infinity
  void (*i32_to_f32)(float* dst, const int32_t* src, size_t n);
  void (*f32_to_i32)(int32_t* dst, const float* src, size_t n);  // saturates, NaN gives 0

  void (*widen_small)(Small type, float* dst, const uint8_t* src, size_t n);
  // I8 saturates, NaN gives 0. FP8: what is too large saturates or, when |overflows|, gives NaN (E4M3) or infinity (E5M2).
  void (*narrow_small)(Small type, uint8_t* dst, const float* src, size_t n, bool overflows);

  // --- weights in blocks, as LDC in isa.def says; |src| needs no alignment ----------------------------------------------
  void (*decode_q8_0)(float* dst, const std::byte* src, size_t blocks);
  void (*decode_q4_0)(float* dst, const std::byte* src, size_t blocks);
  void (*decode_q4_k)(float* dst, const std::byte* src, size_t blocks);
  void (*decode_q6_k)(float* dst, const std::byte* src, size_t blocks);

  void (*decode_mx)(Mx type, float* dst, const std::byte* src, size_t blocks);

  // --- the way back, as STC in isa.def says; |dst| needs no alignment ------------------------------------------------------
  void (*encode_q8_0)(std::byte* dst, const float* src, size_t blocks);
  void (*encode_q4_0)(std::byte* dst, const float* src, size_t blocks);
  // MX9, MX6, MX4 take ScaleRule::kFloor only.
  void (*encode_mx)(Mx type, ScaleRule rule, std::byte* dst, const float* src, size_t blocks);

  // --- stochastic rounding, as CVT and STC with RANDOM say ----------------------------------------------------------------
  // To |n| elements of |type|. BF16 and F16 overflow to infinity, FP8 as in narrow_small.
  void (*narrow_random)(RandomTo type, void* dst, const float* src, size_t n, RandomRounding random,
                        bool overflows);
  void (*encode_mx_random)(Mx type, ScaleRule rule, std::byte* dst, const float* src, size_t blocks,
                           RandomRounding random);

  // --- element by element ----------------------------------------------------------------------------------------------
  void (*unary)(UnaryOp op, float* dst, const float* a, size_t n);
  void (*binary)(BinaryOp op, float* dst, const float* a, const float* b, size_t n);
  void (*binary_scalar)(BinaryOp op, float* dst, const float* a, float b, size_t n);
  // dst = fma(a, b, c). A null b or c takes the scalar b_value or c_value for every element.
  void (*fma)(float* dst, const float* a, const float* b, float b_value, const float* c,
              float c_value, size_t n);
  // dst[j] = lo <= j0 + j <= limit (exact integers, no wrap) ? src[j] : value, bits unchanged
  void (*mask_row)(float* dst, const float* src, size_t n, int64_t j0, int64_t lo, int64_t limit,
                   float value);
  // Rotates the pairs (x, y) of src[0 .. d): x' = fma(x, cos, -(y sin)), y' = fma(x, sin, y cos). d is even; cos and sin hold
  // d / 2 values. Pair i is (2i, 2i + 1), or (i, i + d/2) when half.
  void (*rope_row)(float* dst, const float* src, const float* cos, const float* sin, size_t d,
                   bool half);

  // --- one row ---------------------------------------------------------------------------------------------------------
  float (*sum)(const float* a, size_t n);          // tree
  float (*sum_squares)(const float* a, size_t n);  // tree, each lane an fma chain
  float (*max)(const float* a, size_t n);          // as BinaryOp::kMax; -inf for n = 0
  size_t (*argmax)(const float* a,
                   size_t n);  // first largest, -0 = +0; NaNs are passed over; 0 when nothing else
  float (*scale_max)(float* dst, const float* a, float scale,
                     size_t n);  // dst = a * scale; returns max of dst
  // p[j] = s[j] == -inf ? +0 : exp(s[j] - m); returns sum (tree) of p. The softmax step.
  float (*exp_sub_sum)(float* p, const float* s, float m, size_t n);
};

// The definition: plain loops over std::fmaf.
const Numerics& scalar_numerics();

// Google Highway, for the best instruction set of this host that has fused multiply-add; scalar_numerics() when it has none.
const Numerics& simd_numerics();

}  // namespace npu::model

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_NUMERICS_H_
