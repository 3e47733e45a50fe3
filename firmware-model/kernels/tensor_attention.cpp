// SPDX-License-Identifier: Apache-2.0
// Attention on tensors, O = softmax(softcap(scale Q K^T) + slope mask) V, with the online softmax in fp32. LDC brings keys, values and masks of any type.
//
// A work-group takes rows of queries that meet the same keys: a block of tokens of one head (x: block, y: head, z: batch), or with |grouped| the heads of one token that share a head of keys
// (y: head of keys). Operations run one after the other.
#include <bit>
#include <functional>
#include <limits>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

// In the order of the numbers that the plan gives: index of npuDataType among floats, then blocks.
constexpr DType kTypes[] = {DType::F32,  DType::BF16, DType::F16, DType::Q8_0,
                            DType::Q4_0, DType::Q4_K, DType::Q6_K};

// The most rows whose keys are multiplied as they pass by: the tensor unit takes as many at once.
constexpr uint32_t kStreamedRows = 4;

// Where one operand lies: strides of heads and batches, distance of rows.
struct Place {
  Arg at, head_bytes, batch_bytes, row;
};

class TensorAttention {
 public:
  Program build();

 private:
  Place place(const char* name);
  Reg base_of(const Place& p, const Reg& head, const Reg& batch);
  void find_rows();
  template <typename Body>
  void by_type(const Arg& type, size_t types, const Body& body);
  void load(const Tile& to, const Reg& at, const Reg& rows, const Reg& cols, const Arg& row,
            const Arg& type, size_t types);
  void multiply_keys();
  void begin_rows();
  void make_slopes();
  void score();
  void load_mask();
  void drop_unseen_keys();
  void add_mask();
  void walk_keys();
  void add_sinks();
  void store_rows();
  Tile rows_by(const Buf& buf, const Val& cols) { return k_.tile_l1(DType::F32, buf, rows_, cols); }
  Tile largest() { return k_.tile_l1(DType::F32, l1_state_, rows_, 1, 2); }
  Tile sum() { return k_.tile_l1(DType::F32, l1_state_.offset_bytes + 4, rows_, 1, 2); }

  Kernel k_{"tensor_attention"};
  Place q_ = place("q"), key_ = place("k"), v_ = place("v"), mask_ = place("mask"), y_ = place("y");
  Arg sinks_ = k_.arg_dva("sinks");
  Arg key_step_ = k_.arg_u64("k_step_bytes"), v_step_ = k_.arg_u64("v_step_bytes"),
      mask_step_ = k_.arg_u64("mask_step_bytes");
  Arg masked_ = k_.arg_u32("masked"), q_type_ = k_.arg_u32("q_type"),
      key_type_ = k_.arg_u32("k_type"), v_type_ = k_.arg_u32("v_type"),
      mask_type_ = k_.arg_u32("mask_type");
  Arg row_count_ = k_.arg_u32("rows"), keys_arg_ = k_.arg_u32("keys"), depth_ = k_.arg_u32("depth"),
      width_ = k_.arg_u32("width");
  Arg key_shared_ = k_.arg_u32("k_shared_heads"), v_shared_ = k_.arg_u32("v_shared_heads"),
      key_batches_ = k_.arg_u32("k_shared_batches"), v_batches_ = k_.arg_u32("v_shared_batches"),
      mask_heads_ = k_.arg_u32("mask_heads"), mask_batches_ = k_.arg_u32("mask_batches");
  Arg grouped_ = k_.arg_u32("grouped"), block_rows_ = k_.arg_u32("block_rows"),
      block_keys_ = k_.arg_u32("block_keys");
  Arg scale_ = k_.arg_f32("scale"), cap_ = k_.arg_f32("cap"),
      log_slope0_ = k_.arg_f32("log_slope0"), log_slope1_ = k_.arg_f32("log_slope1");
  Arg biased_ = k_.arg_u32("biased"), slopes_split_ = k_.arg_u32("slopes_split");

  Buf l1_q_ = k_.l1(kTensorAttentionRows * 4);
  Buf l1_k_ = k_.l1(kTensorAttentionKeys * 4);
  Buf l1_v_ = k_.l1(kTensorAttentionKeys * 4);
  Buf l1_s_ = k_.l1(kTensorAttentionScores * 4);
  Buf l1_m_ = k_.l1(kTensorAttentionScores * 4);
  Buf l1_o_ = k_.l1(kTensorAttentionRows * 4);
  Buf l1_state_ = k_.l1(kTensorAttentionQueries * 8);
  Buf l1_factor_ = k_.l1(kTensorAttentionQueries * 4);
  Buf l1_slope_ = k_.l1(kTensorAttentionQueries * 4);
  Buf l1_new_ = k_.l1(kTensorAttentionQueries * 4);
  Reg head_, first_, rows_, keys_, mask_rows_;
  Reg key_at_, v_at_, mask_at_;
};

Place TensorAttention::place(const char* name) {
  const std::string prefix = std::string(name) + "_";
  return {k_.arg_dva(name), k_.arg_u64(prefix + "head_bytes"), k_.arg_u64(prefix + "batch_bytes"),
          k_.arg_u32(prefix + "row")};
}

Reg TensorAttention::base_of(const Place& p, const Reg& head, const Reg& batch) {
  Reg at = head * p.head_bytes;
  at += batch * p.batch_bytes;
  at += p.at;
  return at;
}

// The rows of this group, and where their keys begin.
void TensorAttention::find_rows() {
  head_ = k_.group_y();
  first_ = k_.group_x() * block_rows_;
  rows_ = min(Val(row_count_ - first_), block_rows_);
  k_.if_(Reg(grouped_), [&] { head_ *= key_shared_; });
  Reg batch = k_.group_z();
  {
    Reg head = head_ / key_shared_;
    Reg from = batch / key_batches_;
    key_at_ = base_of(key_, head, from);
  }
  {
    Reg head = head_ / v_shared_;
    Reg from = batch / v_batches_;
    v_at_ = base_of(v_, head, from);
  }
  Reg head = head_ % mask_heads_;
  Reg from = batch % mask_batches_;
  mask_at_ = base_of(mask_, head, from);
}

// body(type), where |type| is one of the first |types|. Each is looked for only where those before it are not the one: floats, which are first, cost least.
template <typename Body>
void TensorAttention::by_type(const Arg& type, size_t types, const Body& body) {
  Reg wanted = type;
  const std::function<void(size_t)> from = [&](size_t t) {
    std::function<void()> otherwise;
    if (t + 1 != types) otherwise = [&from, t] { from(t + 1); };
    k_.if_(
        wanted == static_cast<uint32_t>(t), [&] { body(kTypes[t]); }, otherwise);
  };
  from(0);
}

// rows x cols elements of one of the first |types| types, as fp32.
void TensorAttention::load(const Tile& to, const Reg& at, const Reg& rows, const Reg& cols,
                           const Arg& row, const Arg& type, size_t types) {
  by_type(type, types, [&](DType t) { k_.ldc(to, k_.tile_hbm(t, at, rows, cols, row)); });
}

// Keys that meet a few queries are used once, so they pass by; else they are brought to L1.
void TensorAttention::multiply_keys() {
  Reg depth = depth_;
  Tile q = rows_by(l1_q_, depth);
  k_.if_(
      rows_ <= kStreamedRows,
      [&] {
        by_type(key_type_, std::size(kTypes), [&](DType t) {
          k_.mms(rows_by(l1_s_, keys_), q, k_.tile_hbm(t, key_at_, keys_, depth, key_.row));
        });
      },
      [&] {
        Tile keys = k_.tile_l1(DType::F32, l1_k_, keys_, depth);
        load(keys, key_at_, keys_, depth, key_.row, key_type_, std::size(kTypes));
        k_.mmd(rows_by(l1_s_, keys_), q, keys);
      });
}

void TensorAttention::begin_rows() {
  Reg batch = k_.group_z();
  Reg at = base_of(q_, head_, batch);
  Reg skip = first_ * q_.row;
  Reg wide = q_type_;
  skip *= select(wide == 0, k_.reg(4), k_.reg(2));
  at += skip;
  Reg depth = depth_;
  load(rows_by(l1_q_, depth), at, rows_, depth, q_.row, q_type_, 3);
  k_.vfill(largest(), -std::numeric_limits<float>::infinity());
  k_.vfill(sum(), 0.0f);
  k_.vfill(rows_by(l1_o_, width_), 0.0f);
}

// ALiBi: one slope for each row, all of the same head.
void TensorAttention::make_slopes() {
  Reg split = slopes_split_;
  Reg power = head_ + 1;
  Reg log = Reg(log_slope0_);
  k_.if_(Val(split) <= head_, [&] {
    power = head_ - split;
    power *= 2;
    power += 1;
    log = Reg(log_slope1_);
  });
  Tile slope = rows_by(l1_slope_, 1);
  k_.iota(slope, power, 0, 0);
  k_.vmul(slope, slope, log);
  k_.exp(slope, slope);
}

// The scores of the keys under way: scaled, capped.
void TensorAttention::score() {
  multiply_keys();
  Tile s = rows_by(l1_s_, keys_);
  k_.vmul(s, s, scale_);
  Reg cap = cap_;
  k_.if_(std::move(cap), [&] {
    Tile capped = rows_by(l1_s_, keys_);
    k_.vdiv(capped, capped, cap_);
    k_.tanh(capped, capped);
    k_.vmul(capped, capped, cap_);
  });
}

// Rows of a group are heads of one token, and share its line.
void TensorAttention::load_mask() {
  mask_rows_ = rows_ + 0;
  k_.if_(Reg(grouped_), [&] { mask_rows_ = 1; });
  Tile mask = k_.tile_l1(DType::F32, l1_m_, mask_rows_, keys_);
  load(mask, mask_at_, mask_rows_, keys_, mask_.row, mask_type_, 3);
}

// keys_ becomes the number of keys up to the last one that the mask lets a row see: caches are longer than what is in them, and a causal mask hides half of a prompt. Of several
// rows only whole blocks are dropped: to look for the last key of all rows costs more than it saves.
void TensorAttention::drop_unseen_keys() {
  Tile mask = k_.tile_l1(DType::F32, l1_m_, mask_rows_, keys_);
  k_.if_(
      mask_rows_ == 1,
      [&] {
        // The key's number where the mask is finite, NaN elsewhere, which is passed over.
        Tile places = k_.tile_l1(DType::F32, l1_k_, mask_rows_, keys_);
        k_.iota(places, 0, 0, 1);
        Tile seen = k_.tile_l1(DType::F32, l1_s_, mask_rows_, keys_);
        k_.vfma(seen, mask, 0.0f, places);
        Tile last = k_.tile_l1(DType::I32, l1_new_, mask_rows_, mask_rows_);
        k_.rargmax(last, seen);
        keys_ = k_.word_of(last) + 1;  // 1 where no key is seen
      },
      [&] {
        k_.rmax(k_.tile_l1(DType::F32, l1_new_, mask_rows_, 1), mask);
        Reg one = k_.reg(1);
        Tile all = k_.tile_l1(DType::F32, l1_factor_, one, one);
        k_.rmax(all, k_.tile_l1(DType::F32, l1_new_, one, mask_rows_));
        Reg largest = k_.word_of(all);
        keys_ = select(largest == std::bit_cast<uint32_t>(-std::numeric_limits<float>::infinity()),
                       k_.reg(0), keys_);
      });
}

void TensorAttention::add_mask() {
  k_.if_(Reg(masked_), [&] {
    Tile s = rows_by(l1_s_, keys_);
    k_.if_(
        Reg(grouped_),
        [&] {
          Reg one = k_.reg(1);
          k_.vadd(rows_by(l1_s_, keys_), s, row(k_.tile_l1(DType::F32, l1_m_, one, keys_)));
        },
        [&] {
          k_.if_(Reg(biased_), [&] {
            Tile scaled = rows_by(l1_m_, keys_);
            k_.vmul(scaled, scaled, col(rows_by(l1_slope_, 1)));
          });
          k_.vadd(rows_by(l1_s_, keys_), s, rows_by(l1_m_, keys_));
        });
  });
}

void TensorAttention::walk_keys() {
  Reg left = keys_arg_;
  Reg blocks = ceil_div(left, block_keys_);
  Reg width = width_;
  k_.for_range(std::move(blocks), [&](const Reg&) {
    keys_ = min(left, block_keys_);
    k_.if_(Reg(masked_), [&] {
      load_mask();
      drop_unseen_keys();
    });
    k_.if_(keys_ != 0, [&] {
      score();
      add_mask();
      Tile s = rows_by(l1_s_, keys_);
      Tile factor = rows_by(l1_factor_, 1);
      k_.smstep(s, s, rows_by(l1_state_, 2), factor);
      Tile out = rows_by(l1_o_, width);
      k_.vmul(out, out, col(factor));
      Tile values = k_.tile_l1(DType::F32, l1_v_, keys_, width);
      load(values, v_at_, keys_, width, v_.row, v_type_, std::size(kTypes));
      k_.mm(out, s, values).acc();
    });
    key_at_ += key_step_;
    v_at_ += v_step_;
    mask_at_ += mask_step_;
    left -= block_keys_;
  });
}

// One more key of each row, with a score that is given and no value.
void TensorAttention::add_sinks() {
  Reg sinks = sinks_;
  k_.if_(Reg(sinks_), [&] {
    Reg at = head_ * 4;
    at += sinks;
    Tile score = rows_by(l1_slope_, 1);
    k_.if_(
        Reg(grouped_), [&] { k_.ld(score, k_.tile_hbm(DType::F32, at, rows_, 1)); },
        [&] {
          Reg one = k_.reg(1);
          Tile line = k_.tile_l1(DType::F32, l1_new_, one, one);
          k_.ld(line, k_.tile_hbm(DType::F32, at, one, one));
          Tile all = rows_by(l1_slope_, 1);
          k_.vfill(all, 0.0f);
          k_.vadd(all, all, row(line));
        });
    Tile top = rows_by(l1_new_, 1);
    Tile factor = rows_by(l1_factor_, 1);
    k_.vmax(top, largest(), score);
    k_.vsub(factor, largest(), top);
    k_.exp(factor, factor);
    k_.vsub(score, score, top);
    k_.exp(score, score);
    k_.vfma(sum(), sum(), factor, score);
    Tile out = rows_by(l1_o_, width_);
    k_.vmul(out, out, col(factor));
  });
}

void TensorAttention::store_rows() {
  Tile out = rows_by(l1_o_, width_);
  // A row that saw a key has a sum of at least 1; one that saw none gives zeros.
  k_.vmax(sum(), sum(), 0x1p-126f);
  k_.vdiv(out, out, col(sum()));
  Reg batch = k_.group_z();
  Reg at = base_of(y_, head_, batch);
  Reg skip = first_ * y_.row;
  skip *= 4;
  at += skip;
  k_.st(k_.tile_hbm(DType::F32, at, rows_, width_, y_.row), out);
}

Program TensorAttention::build() {
  k_.chain(true);
  find_rows();
  begin_rows();
  k_.if_(Reg(biased_), [&] { make_slopes(); });
  {
    // Rows of the mask are tokens; heads of one token share theirs.
    Reg skip = first_ * mask_.row;
    Reg type = mask_type_;
    skip *= select(type == 0, k_.reg(4), k_.reg(2));
    mask_at_ += skip;
  }
  walk_keys();
  add_sinks();
  store_rows();
  return k_.finish();
}

}  // namespace

void add_tensor_attention(Programs& out) { out.push_back(TensorAttention().build()); }

}  // namespace npu::kernels
