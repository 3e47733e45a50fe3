// SPDX-License-Identifier: Apache-2.0
// Problems for tests: every algorithm that an operation has, many shapes.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "libnpu/ccl/schedule/algorithm.h"

namespace npu::ccl {

// Both orders where the operation reduces, else one.
std::vector<Order> orders_of(Op op);
std::vector<Op> all_ops();
// {0, 1, 2, p - 1, p, p + 1, 97, 1000}, each once.
std::vector<uint64_t> counts_for(uint32_t ranks);
// Ways to cut |ranks| ranks into nodes: one node, even ones, uneven ones.
std::vector<std::vector<uint32_t>> node_shapes(uint32_t ranks);
// Different counts for every rank (or pair), some of them 0; from |seed|.
std::vector<uint64_t> uneven_counts(const Problem& problem, uint32_t seed);

std::string describe(const Problem& problem, Algorithm algorithm);

}  // namespace npu::ccl
