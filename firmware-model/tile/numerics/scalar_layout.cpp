// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the layout changes.
#include "firmware-model/tile/numerics/scalar_convert.h"
#include "firmware-model/tile/numerics/scalar_parts.h"
#include "firmware-model/tile/numerics/small_float.h"

namespace npu::model {
namespace {

template <auto kConvert, typename To, typename From>
void pack(To* dst, const PackArgs& g) {
  const auto* src = static_cast<const From*>(g.src);
  for (size_t p = 0; p * kPanelCols < g.n; ++p) {
    for (size_t k = 0; k < g.k; ++k) {
      for (size_t c = 0; c < kPanelCols; ++c) {
        const size_t j = p * kPanelCols + c;
        const size_t from = g.transposed ? j * g.ld + k : k * g.ld + j;
        dst[p * g.dst_panel_stride + k * kPanelCols + c] = j < g.n ? kConvert(src[from]) : To{};
      }
    }
  }
}

uint32_t same_u32(uint32_t bits) { return bits; }
uint16_t same_u16(uint16_t bits) { return bits; }
uint8_t same_u8(uint8_t bits) { return bits; }
float from_e4m3(uint8_t code) { return scalar::from_small<E4m3>(code); }
float from_e5m2(uint8_t code) { return scalar::from_small<E5m2>(code); }
float from_i8(int8_t x) { return static_cast<float>(x); }

void pack_panel(float* dst, const PackArgs& g) {
  switch (g.elem) {
    case Elem::kF32:
      return pack<same_u32, uint32_t, uint32_t>(reinterpret_cast<uint32_t*>(dst), g);
    case Elem::kBf16:
      return pack<scalar::from_bf16, float, uint16_t>(dst, g);
    case Elem::kF16:
      return pack<scalar::from_f16, float, uint16_t>(dst, g);
    case Elem::kE4m3:
      return pack<from_e4m3, float, uint8_t>(dst, g);
    case Elem::kE5m2:
      return pack<from_e5m2, float, uint8_t>(dst, g);
    case Elem::kI8:
      return pack<from_i8, float, int8_t>(dst, g);
  }
}

template <typename T>
void transpose(T* dst, size_t ldd, const T* src, size_t lds, size_t rows, size_t cols) {
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < cols; ++j) dst[j * ldd + i] = src[i * lds + j];
  }
}

}  // namespace

void scalar_fill_layout(Numerics& table) {
  table.pack_panel = pack_panel;
  table.pack_panel_u16 = pack<same_u16, uint16_t, uint16_t>;
  table.pack_panel_u8 = pack<same_u8, uint8_t, uint8_t>;
  table.transpose_u32 = transpose<uint32_t>;
  table.transpose_u16 = transpose<uint16_t>;
  table.transpose_u8 = transpose<uint8_t>;
}

}  // namespace npu::model
