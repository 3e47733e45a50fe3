/* SPDX-License-Identifier: Apache-2.0 */
/* The text, the sizes of the transformer, and its parameters before the first step. */
#ifndef NPU_SAMPLES_TRAIN_MODEL_H_
#define NPU_SAMPLES_TRAIN_MODEL_H_

#include <cstdint>
#include <vector>

constexpr char kText[] =
    "the model reads a letter and says which letter comes next. it is wrong, and the loss says how "
    "wrong it is. the gradient says which way is down, the step is small, and the text is read "
    "again until the letters are known by heart. ";
constexpr uint32_t kTextLength = sizeof kText - 1;
constexpr uint32_t kVocabulary = 128, kBatch = 8, kLength = 32, kTokens = kBatch * kLength;
constexpr uint32_t kDim = 32, kHeads = 4, kKvHeads = 2, kHead = kDim / kHeads, kHidden = 64;
constexpr uint32_t kQkv = (kHeads + 2 * kKvHeads) * kHead;  // one row holds q, k and v of a token
constexpr uint32_t kLayers = 2, kSteps = 120;
constexpr float kEps = 1e-5f, kClip = 1.0f;

// All parameters are one array, so that one launch updates them; gradients lie the same way.
inline std::vector<float> start;
inline uint32_t add(uint32_t rows, uint32_t cols, float size) {
  static uint32_t seed = 1;
  const auto at = static_cast<uint32_t>(start.size());
  for (uint32_t i = 0; i < rows * cols; i++) {
    seed = seed * 1664525u + 1013904223u;
    start.push_back(size != 0 ? size * (static_cast<float>(seed >> 8) / 8388608.0f - 1) : 1);
  }
  return at;
}
struct Layer {
  uint32_t norm1 = add(1, kDim, 0), qkv = add(kDim, kQkv, 0.3f), out = add(kDim, kDim, 0.3f);
  uint32_t norm2 = add(1, kDim, 0), gate = add(kDim, kHidden, 0.3f), up = add(kDim, kHidden, 0.3f);
  uint32_t down = add(kHidden, kDim, 0.2f);
};
inline const uint32_t embedding = add(kVocabulary, kDim, 1);
inline const Layer layers[kLayers];
inline const uint32_t last_norm = add(1, kDim, 0), head = add(kDim, kVocabulary, 0.2f);

#endif
