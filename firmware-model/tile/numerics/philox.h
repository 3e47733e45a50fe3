// SPDX-License-Identifier: Apache-2.0
// Random words by place: Philox4x32-10 (Salmon et al., SC11), whose output is a function of key and counter alone. So the word of an element does
// not depend on how a matrix is cut into tiles.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_PHILOX_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_PHILOX_H_

#include <array>
#include <cstdint>

namespace npu::model {

struct Philox {
  static constexpr int kRounds = 10;
  static constexpr uint32_t kFactor0 = 0xD2511F53, kFactor1 = 0xCD9E8D57;
  static constexpr uint32_t kStep0 = 0x9E3779B9, kStep1 = 0xBB67AE85;
};

inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, uint64_t key) {
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < Philox::kRounds; ++round) {
    const uint64_t a = uint64_t{Philox::kFactor0} * counter[0];
    const uint64_t b = uint64_t{Philox::kFactor1} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(a)};
    k0 += Philox::kStep0;
    k1 += Philox::kStep1;
  }
  return counter;
}

// The words of one key, four at a time.
class RandomWords {
 public:
  explicit RandomWords(uint64_t seed) : seed_(seed), words_(block(0)) {}
  uint32_t at(uint64_t place) {
    if (place / 4 != counter_) words_ = block(counter_ = place / 4);
    return words_[place % 4];
  }

 private:
  std::array<uint32_t, 4> block(uint64_t counter) const {
    return philox4x32({static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0},
                      seed_);
  }

  uint64_t seed_;
  uint64_t counter_ = 0;
  std::array<uint32_t, 4> words_;
};

}  // namespace npu::model

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_PHILOX_H_
