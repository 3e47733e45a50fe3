// SPDX-License-Identifier: Apache-2.0
// Step 6: attention of one head, compared with double precision.
#include <cmath>

#include "../host.h"

namespace {

constexpr uint32_t kBlock = 64, kDim = 64;  // as in attention.cpp
constexpr float kScale = 0.125f;            // 1 / sqrt(kDim)

struct Args {
  npuDevPtr q, k, v, o;
  uint32_t q_len, kv_len;
  float scale;
  uint32_t pad;
};

// Row |i| of the result in double precision.
std::vector<double> reference(const std::vector<float> &q, const std::vector<float> &k,
                              const std::vector<float> &v, uint32_t i, uint32_t kv_len) {
  std::vector<double> scores(kv_len, 0.0), out(kDim, 0.0);
  double largest = -INFINITY, sum = 0;
  for (uint32_t j = 0; j < kv_len; ++j) {
    for (uint32_t d = 0; d < kDim; ++d) {
      scores[j] += static_cast<double>(q[i * kDim + d]) * k[j * kDim + d] * kScale;
    }
    largest = std::fmax(largest, scores[j]);
  }
  for (double &s : scores) sum += s = std::exp(s - largest);
  for (uint32_t j = 0; j < kv_len; ++j) {
    for (uint32_t d = 0; d < kDim; ++d) out[d] += scores[j] / sum * v[j * kDim + d];
  }
  return out;
}

bool attend(Npu &npu, const npu::Kernel &kernel, uint32_t q_len, uint32_t kv_len) {
  std::vector<float> q = numbers(1, size_t{q_len} * kDim);
  const std::vector<float> k = numbers(2, size_t{kv_len} * kDim), v = numbers(3, k.size());
  for (float &x : q) x *= 8;  // some keys count much more than others
  npu::Memory<float> dev_q(npu.context, q), dev_k(npu.context, k), dev_v(npu.context, v);
  npu::Memory<float> dev_o(npu.context, q.size());
  const double us =
      npu.run(kernel, {.x = (q_len + kBlock - 1) / kBlock},
              Args{dev_q.get(), dev_k.get(), dev_v.get(), dev_o.get(), q_len, kv_len, kScale, 0});
  const std::vector<float> o = dev_o.read();
  double worst = 0;
  for (uint32_t i = 0; i < q_len; ++i) {
    const std::vector<double> exact = reference(q, k, v, i, kv_len);
    for (uint32_t d = 0; d < kDim; ++d) {
      worst = std::fmax(worst, std::fabs(o[i * kDim + d] - exact[d]));
    }
  }
  std::printf("%u queries, %u keys: %.2f us of device time, largest error %.1e\n", q_len, kv_len,
              us, worst);
  // A score is at most 64, so its rounding moves a weight by up to 64 * 2^-24 of itself, a few times over; values are below 1.
  return worst <= 2e-5;
}

}  // namespace

int main(int argc, char **argv) {
  return run_sample([&] {
    Npu npu;
    npu::Module module(npu.context, argc > 1 ? argv[1] : KERNEL_BLOB);
    const npu::Kernel kernel = module.kernel("attention");
    return attend(npu, kernel, 256, 512) && attend(npu, kernel, 70, 131) &&
           attend(npu, kernel, 1, 1);
  });
}
