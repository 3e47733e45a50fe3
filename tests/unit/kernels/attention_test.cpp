// SPDX-License-Identifier: Apache-2.0
// Attention against a double-precision softmax. Bound: weights carry the error of a dot product of head_dim terms through exp (derivative 1),
// and their own rounding; the output is a mean of values weighted by them.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/kernels/rig.h"

namespace npu::kernels {
namespace {

struct Case {
  uint32_t batch, heads, kv_heads, q_len, kv_len, dim;
  DType type = DType::F32;
  bool causal = false;
  bool decode = false;
  uint32_t block_q = 128, block_k = 128;
  float size = 1;       // of queries and keys
  uint32_t window = 0;  // keys; 0: all
};

class AttentionRun {
 public:
  // q, o: [batch, token, head, dim]; k, v: [batch, head, token, dim] with room for two tokens more
  AttentionRun(const Case& c, Random& random) : c_(c) {
    kv_rows_ = c.kv_len + 2;
    q_ = random.values(uint64_t{c.batch} * c.q_len * c.heads * c.dim, c.type, c.size);
    k_ = random.values(uint64_t{c.batch} * c.kv_heads * kv_rows_ * c.dim, c.type, c.size);
    v_ = random.values(k_.size(), c.type);
  }

  void run() {
    uint32_t elem = isa::dtype_bytes(c_.type);
    uint64_t head = uint64_t{kv_rows_} * c_.dim;
    uint32_t token = c_.heads * c_.dim;
    at_lse_ =
        rig.put(DType::F32, std::vector<float>(uint64_t{c_.batch} * c_.heads * c_.q_len, 7.0f));
    at_o_ = rig.put(c_.type, std::vector<float>(q_.size(), 7.0f));
    Args args{{"q", rig.put(c_.type, q_)},
              {"k", rig.put(c_.type, k_)},
              {"v", rig.put(c_.type, v_)},
              {"o", at_o_},
              {"q_batch_stride", uint64_t{c_.q_len} * token * elem},
              {"q_head_stride", uint64_t{c_.dim} * elem},
              {"k_batch_stride", head * c_.kv_heads * elem},
              {"k_head_stride", head * elem},
              {"v_batch_stride", head * c_.kv_heads * elem},
              {"v_head_stride", head * elem},
              {"o_batch_stride", uint64_t{c_.q_len} * token * elem},
              {"o_head_stride", uint64_t{c_.dim} * elem},
              {"q_row_stride", token},
              {"k_row_stride", c_.dim},
              {"v_row_stride", c_.dim},
              {"o_row_stride", token},
              {"q_len", c_.q_len},
              {"kv_len", c_.kv_len},
              {"head_dim", c_.dim},
              {"heads_per_kv", c_.heads / c_.kv_heads},
              {"causal", c_.causal ? 1 : 0},
              {"scale", scale()},
              {"block_q", c_.block_q},
              {"block_k", c_.block_k}};
    if (!c_.decode) {
      args.insert({"window", c_.window != 0 ? c_.window : uint32_t{INT32_MAX}});
      args.insert({"lse", at_lse_});
    }
    if (c_.decode) {
      rig.run("attention_decode_" + type_name(c_.type), args, {c_.q_len, c_.kv_heads, c_.batch});
    } else {
      rig.run("attention_" + type_name(c_.type), args,
              {ceil_div(c_.q_len, c_.block_q), c_.heads, c_.batch});
    }
  }

  void check() {
    std::vector<float> got = rig.get(c_.type, at_o_, q_.size());
    for (uint32_t b = 0; b < c_.batch; ++b) {
      for (uint32_t t = 0; t < c_.q_len; ++t) {
        for (uint32_t h = 0; h < c_.heads; ++h) {
          uint64_t at = ((uint64_t{b} * c_.q_len + t) * c_.heads + h) * c_.dim;
          check_row(b, t, h, &q_[at], &got[at]);
        }
      }
    }
  }

  Rig rig;

 private:
  float scale() const { return 1 / std::sqrt(static_cast<float>(c_.dim)); }

  void check_row(uint32_t b, uint32_t t, uint32_t h, const float* q, const float* got) {
    uint32_t kv_head = h / (c_.heads / c_.kv_heads);
    uint64_t head = (uint64_t{b} * c_.kv_heads + kv_head) * kv_rows_ * c_.dim;
    int64_t seen = c_.kv_len;
    if (c_.causal) seen = int64_t{c_.kv_len} - c_.q_len + t + 1;
    std::vector<double> p(seen > 0 ? static_cast<size_t>(seen) : 0);
    const size_t first = c_.window != 0 && p.size() > c_.window ? p.size() - c_.window : 0;
    double largest = -INFINITY;
    double magnitude = 0;
    for (size_t j = 0; j < p.size(); ++j) {
      double abs_sum = 0;
      for (uint32_t d = 0; d < c_.dim; ++d) {
        p[j] += double{q[d]} * k_[head + j * c_.dim + d];
        abs_sum += std::fabs(double{q[d]} * k_[head + j * c_.dim + d]);
      }
      p[j] = j >= first ? p[j] * scale() : -INFINITY;
      magnitude = std::max(magnitude, abs_sum * scale());
      largest = std::max(largest, p[j]);
    }
    double sum = 0;
    for (double& w : p) sum += w = std::exp(w - largest);
    for (uint32_t d = 0; d < c_.dim; ++d) {
      double want = 0;
      double spread = 0;
      for (size_t j = 0; j < p.size(); ++j) {
        want += p[j] / sum * v_[head + j * c_.dim + d];
        spread += p[j] / sum * std::fabs(v_[head + j * c_.dim + d]);
      }
      double score_error = (c_.dim + 4) * 0x1p-24 * magnitude;
      double chain_error = (static_cast<double>(p.size()) + 16) * 0x1p-24;
      double bound = spread * (2 * score_error + 2 * chain_error + half_ulp(c_.type)) +
                     std::fabs(want) * half_ulp(c_.type) + 1e-7;
      ASSERT_NEAR(got[d], want, bound)
          << "batch " << b << " query " << t << " head " << h << " column " << d;
    }
  }

  Case c_;
  uint32_t kv_rows_;
  std::vector<float> q_, k_, v_;
  uint64_t at_o_ = 0, at_lse_ = 0;
};

void run_case(const Case& c, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << " q_len " << c.q_len << " kv_len "
                                  << c.kv_len << " dim " << c.dim << " causal " << c.causal
                                  << " decode " << c.decode << " type " << type_name(c.type));
  Random random(seed);
  AttentionRun run(c, random);
  run.run();
  run.check();
}

TEST(Attention, MatchesTheReferenceForBothTypesAndMasks) {
  uint32_t seed = 1;
  for (DType type : kElementTypes) {
    for (bool causal : {false, true}) {
      for (bool decode : {false, true}) {
        run_case({2, 4, 2, 17, 33, 32, type, causal, decode, 16, 16}, seed++);
        run_case({1, 2, 1, 5, 5, 64, type, causal, decode, 128, 128}, seed++);
        run_case({1, 3, 3, 1, 129, 128, type, causal, decode, 32, 64}, seed++);
      }
    }
  }
}

TEST(Attention, EveryHeadSizeWorks) {
  for (uint32_t dim : {1u, 8u, 40u, 80u, 96u, 129u, 256u}) {
    run_case({1, 2, 1, 19, 35, dim, DType::F32, true, false, 16, 32}, dim);
    run_case({1, 2, 1, 2, 35, dim, DType::BF16, true, true, 16, 32}, dim);
  }
}

TEST(Attention, AWindowHidesWhatLiesBeforeIt) {
  uint32_t seed = 60;
  for (DType type : kElementTypes) {
    for (uint32_t window : {1u, 7u, 32u, 33u, 500u}) {
      Case c{1, 2, 1, 70, 90, 24, type, true, false, 16, 32};
      c.window = window;
      run_case(c, seed++);
    }
  }
}

TEST(Attention, FullBlocksMatchTheReference) {
  run_case({1, 2, 2, 260, 300, 64, DType::F32, true, false, 128, 256}, 30);
  run_case({1, 8, 1, 1, 1100, 64, DType::F32, true, true, 128, 512}, 31);
  run_case({1, 8, 1, 1, 700, 64, DType::BF16, true, true, 128, 512}, 32);
}

TEST(Attention, LargeScoresDoNotOverflow) {
  Case c{1, 2, 1, 9, 20, 32, DType::F32, true};
  c.size = 60;
  run_case(c, 40);
}

TEST(Attention, AQueryThatSeesNoKeyGivesZero) {
  for (bool decode : {false, true}) {
    Case c{1,  2,          2,    8,     3,
           32, DType::F32, true, decode};  // the first five queries stand before all keys
    run_case(c, 50);
    Case none{1, 2, 2, 3, 0, 32, DType::F32, false, decode};
    run_case(none, 51);
  }
}

}  // namespace
}  // namespace npu::kernels
