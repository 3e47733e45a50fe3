// SPDX-License-Identifier: Apache-2.0
// The programs of gemm_any.cpp and gemm_wide.cpp.
// Thread safety: one program belongs to one thread.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_GEMM_ANY_H_
#define NPU_FIRMWARE_MODEL_KERNELS_GEMM_ANY_H_

#include <optional>
#include <string>

#include "firmware-model/kernels/any_type.h"
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {

enum class GemmKind { kAny, kF32, kBf16, kF16, kFp8, kI8, kTree, kParts };
inline constexpr const char* kGemmKindNames[] = {"any", "f32", "bf16", "f16",
                                                 "fp8", "i8",  "tree", "parts"};

// An argument that a record may hold instead, and where.
struct GemmCount {
  isa::Arg arg;
  int32_t offset_bytes;
};
struct GemmPlace {
  isa::Arg arg;
  int32_t offset_bytes;
};
// What a program works on, besides the types.
enum class GemmForm { kPlain, kGrouped, kWide };
inline constexpr const char* kGemmFormNames[] = {"", "_grouped", "_wide"};

// What the end of a wide block needs of L1, where operands lay: a row and a column of factors, and a strip of C. Behind it the rows come that lay in the accumulator.
inline constexpr uint32_t kLineBytes = kGemmWideSide * 4;
inline constexpr uint32_t kStripBytes = kGemmWideStrip * kGemmWideSide * 4;
inline constexpr uint32_t kEndBytes = 2 * kLineBytes + kStripBytes;

class GemmAny {
 public:
  using Kind = GemmKind;
  using Form = GemmForm;

  // |wide_l1|: what a wide program has of L1, in units of kGemmWideL1Bytes.
  GemmAny(Kind kind, Form form, uint32_t wide_l1 = 0)
      : kind_(kind),
        grouped_(form == Form::kGrouped),
        wide_(form == Form::kWide),
        wide_l1_(wide_l1),
        k_(std::string("gemm_") + kGemmKindNames[static_cast<int>(kind)] +
           kGemmFormNames[static_cast<int>(form)]) {}
  isa::Program build();

 private:
  using Count = GemmCount;
  using Place = GemmPlace;

  isa::Reg count(const Count& c) {
    return grouped_ ? k_.load_u32(record_, c.offset_bytes) : isa::Reg(c.arg);
  }
  isa::Reg address(const Place& p);
  isa::Reg distance(const Count& ld, const Count& dense, const isa::Arg* unit);
  isa::Reg bytes_of(const isa::Val& elements, const isa::Arg& unit, const isa::Arg& unit_bytes);
  void place_block();
  void place_a(const isa::Reg& batch, const isa::Reg& first_k);
  void place_b(const isa::Reg& batch, const isa::Reg& first_k);
  void place_operands();
  void load_any(isa::Sem free, isa::Sem full);
  void load_narrow(isa::Sem free, isa::Sem full);
  void load_a_any(isa::DType type, isa::Sem free);
  void load_b_any(isa::DType type, isa::Sem full);
  void multiply_step(const isa::Tile& sum, isa::Sem free, isa::Sem full);
  void multiply_pair(const isa::Tile& sum, isa::DType a, isa::DType b, isa::Sem free,
                     isa::Sem full);
  void multiply(const isa::Tile& sum);
  void multiply_tree(const isa::Tile& sum);
  void add_parts(const isa::Tile& sum);
  void make_sum(const isa::Tile& acc);
  void scale_by(const isa::Tile& acc, const Place& factors, bool rows);
  void add_c(const isa::Tile& acc);
  void load_bias(const isa::Reg& bias);
  void fill_last_block(const isa::Reg& whole);
  void finish_block(const isa::Tile& acc);
  isa::Reg place_out(const Place& base, const isa::Reg& row_bytes, const isa::Val& col_bytes,
                     const isa::Arg& batch_stride);
  void store_sums(const isa::Tile& sums);
  isa::Reg takes_sums();
  isa::Tile high_sums(isa::DType type);
  isa::Tile low_sums(isa::DType type, const isa::Reg& low);
  void multiply_wide(isa::DType a, isa::DType b, bool adds, isa::Sem free, isa::Sem full);
  void fill_wide();
  void take_integers();
  void finish_wide();
  void finish_strips(isa::Reg& left);
  void finish(const isa::Tile& acc);
  void build_wide();
  isa::Buf in_l1(uint32_t bytes, uint32_t wide_offset_bytes);

  // A constant, or what the plan has left for it.
  isa::Val operand_bytes() const {
    return wide_ ? isa::Val(operand_bytes_) : isa::Val(kGemmBlockBytes);
  }

  // What lies in L1.
  isa::DType narrow() const {
    switch (kind_) {
      case Kind::kBf16:
        return isa::DType::BF16;
      case Kind::kF16:
        return isa::DType::F16;
      case Kind::kFp8:
        return isa::DType::E4M3;
      case Kind::kI8:
        return isa::DType::I8;
      default:
        return isa::DType::F32;
    }
  }

  Kind kind_;
  bool grouped_;
  bool wide_;
  uint32_t wide_l1_;
  isa::Kernel k_;
  Place a_{k_.arg_dva("a"), 32}, b_{k_.arg_dva("b"), 40}, c_{k_.arg_dva("c"), 48},
      d_{k_.arg_dva("d"), 56}, bias_{k_.arg_dva("bias"), 64}, scale_a_{k_.arg_dva("scale_a"), 72},
      scale_b_{k_.arg_dva("scale_b"), 80};
  isa::Arg batch_a_ = k_.arg_u64("batch_stride_a"), batch_b_ = k_.arg_u64("batch_stride_b");
  isa::Arg batch_c_ = k_.arg_u64("batch_stride_c"), batch_d_ = k_.arg_u64("batch_stride_d");
  isa::Arg groups_ = k_.arg_dva("groups");
  isa::Arg seed_ = k_.arg_u64("seed"), first_number_ = k_.arg_u64("first");
  Count m_{k_.arg_u32("m"), 0}, n_{k_.arg_u32("n"), 4}, depth_{k_.arg_u32("k"), 8};
  Count lda_{k_.arg_u32("lda"), 12}, ldb_{k_.arg_u32("ldb"), 16}, ldc_{k_.arg_u32("ldc"), 20},
      ldd_{k_.arg_u32("ldd"), 24};
  isa::Arg a_type_ = k_.arg_u32("a_type"), b_type_ = k_.arg_u32("b_type"),
           c_type_ = k_.arg_u32("c_type");
  RoundingArgs rounding_{k_.arg_u32("d_type"),
                         k_.arg_u32("scale_rule"),
                         k_.arg_u32("overflow"),
                         k_.arg_u32("random"),
                         seed_,
                         first_number_};
  isa::Arg a_form_ = k_.arg_u32("a_form"), b_form_ = k_.arg_u32("b_form");
  isa::Arg a_unit_ = k_.arg_u32("a_unit"), a_unit_bytes_ = k_.arg_u32("a_unit_bytes");
  isa::Arg b_unit_ = k_.arg_u32("b_unit"), b_unit_bytes_ = k_.arg_u32("b_unit_bytes");
  isa::Arg d_unit_ = k_.arg_u32("d_unit"), d_unit_bytes_ = k_.arg_u32("d_unit_bytes");
  isa::Arg c_bytes_ = k_.arg_u32("c_elem_bytes"), align_ = k_.arg_u32("align");
  isa::Arg block_m_ = k_.arg_u32("block_m"), block_n_ = k_.arg_u32("block_n"),
           block_k_ = k_.arg_u32("block_k");
  isa::Arg parts_ = k_.arg_u32("parts"), part_k_ = k_.arg_u32("part_k");
  isa::Arg alpha_ = k_.arg_f32("alpha"), beta_ = k_.arg_f32("beta"),
           out_scale_ = k_.arg_f32("out_scale");
  isa::Arg act_ = k_.arg_u32("act");
  // Of wide programs: bytes of a block of A or B, and how many rows of C lie in the accumulator.
  isa::Arg block_bytes_ = wide_ ? k_.arg_u32("block_bytes") : align_;
  isa::Arg acc_rows_ = wide_ ? k_.arg_u32("acc_rows") : align_;
  isa::Buf l1_row_ = in_l1(kGemmBlockCols * 4, 0);
  isa::Buf l1_col_ = in_l1(kGemmBlockRows * 4, kLineBytes);
  isa::Buf l1_out_ = in_l1(kGemmBlockRows * kGemmBlockCols * 4, 2 * kLineBytes);
  isa::Buf l1_in_ = in_l1(kind_ == Kind::kTree    ? kMatmulVectorElements * 4
                          : kind_ == Kind::kParts ? 64
                                                  : 4 * kGemmBlockBytes,
                          0);
  isa::Reg record_, row0_, col0_, rows_, cols_, scale_;
  // Of wide programs: bytes of a block of A or B, elements from row to row of the sums, whether they are empty, rows in the accumulator, the strip that is being finished.
  isa::Reg operand_bytes_, sum_pitch_, first_, high_, strip_at_;
  std::optional<isa::Sem> finished_;
  isa::Reg a_at_, b_at_, a_step_, b_step_, lda_now_, ldb_now_, left_, step_, pitch_, at_;
};

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_GEMM_ANY_H_
