/* SPDX-License-Identifier: Apache-2.0 */
/* The loss of the transformer in double precision on the CPU. */
#ifndef NPU_SAMPLES_TRAIN_REFERENCE_H_
#define NPU_SAMPLES_TRAIN_REFERENCE_H_

#include <cmath>

#include "samples/train/model.h"

// The same forward pass in double precision: rows of numbers, one function for each kind of step.
using Rows = std::vector<std::vector<double>>;

inline Rows times(const Rows& x, uint32_t weight, uint32_t out, const Rows& plus = {}) {
  Rows y = plus.empty() ? Rows(x.size(), std::vector<double>(out)) : plus;
  for (size_t i = 0; i < x.size(); i++)
    for (size_t k = 0; k < x[i].size(); k++)
      for (uint32_t j = 0; j < out; j++) y[i][j] += x[i][k] * start[weight + k * out + j];
  return y;
}

inline Rows normal(const Rows& x, uint32_t weight) {
  Rows y = x;
  for (auto& row : y) {
    double squares = 0;
    for (double v : row) squares += v * v / kDim;
    for (uint32_t j = 0; j < kDim; j++) row[j] *= start[weight + j] / sqrt(squares + kEps);
  }
  return y;
}

inline Rows attend(Rows qkv) {
  Rows y(kTokens, std::vector<double>(kDim));
  for (uint32_t i = 0; i < kTokens; i++) {
    for (uint32_t at = 0; at < (kHeads + kKvHeads) * kHead; at += kHead) {
      for (uint32_t d = 0; d < kHead / 2; d++) {
        const double angle = (i % kLength) * pow(1e4, -2.0 * d / kHead);
        double &a = qkv[i][at + d], &b = qkv[i][at + d + kHead / 2], before = a;
        a = a * cos(angle) - b * sin(angle);
        b = before * sin(angle) + b * cos(angle);
      }
    }
  }
  for (uint32_t i = 0; i < kTokens; i++) {
    for (uint32_t h = 0; h < kHeads; h++) {
      const uint32_t k = (kHeads + h / (kHeads / kKvHeads)) * kHead, v = k + kKvHeads * kHead;
      double sum = 0;
      std::vector<double> out(kHead);
      for (uint32_t j = i / kLength * kLength; j <= i; j++) {
        double score = 0;
        for (uint32_t d = 0; d < kHead; d++) score += qkv[i][h * kHead + d] * qkv[j][k + d];
        const double weight = exp(score / sqrt(kHead));
        sum += weight;
        for (uint32_t d = 0; d < kHead; d++) out[d] += weight * qkv[j][v + d];
      }
      for (uint32_t d = 0; d < kHead; d++) y[i][h * kHead + d] = out[d] / sum;
    }
  }
  return y;
}

inline double reference(const int32_t* tokens, const int32_t* targets) {
  Rows x(kTokens, std::vector<double>(kDim));
  for (uint32_t i = 0; i < kTokens; i++)
    for (uint32_t j = 0; j < kDim; j++) x[i][j] = start[embedding + tokens[i] * kDim + j];
  for (const Layer& l : layers) {
    x = times(attend(times(normal(x, l.norm1), l.qkv, kQkv)), l.out, kDim, x);
    Rows gate = times(normal(x, l.norm2), l.gate, kHidden);
    const Rows up = times(normal(x, l.norm2), l.up, kHidden);
    for (uint32_t i = 0; i < kTokens; i++)
      for (uint32_t j = 0; j < kHidden; j++) gate[i][j] *= up[i][j] / (1 + exp(-gate[i][j]));
    x = times(gate, l.down, kDim, x);
  }
  const Rows logits = times(normal(x, last_norm), head, kVocabulary);
  double loss = 0;
  for (uint32_t i = 0; i < kTokens; i++) {
    double sum = 0;
    for (double v : logits[i]) sum += exp(v);
    loss += (log(sum) - logits[i][targets[i]]) / kTokens;
  }
  return loss;
}

#endif
