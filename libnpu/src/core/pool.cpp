// SPDX-License-Identifier: Apache-2.0
// The segregated free lists: list (f, s) holds free blocks of [2^f (1 + s/8), 2^f (1 + (s+1)/8)) units of 256 bytes.
#include "libnpu/src/core/pool.h"

#include <algorithm>
#include <bit>

namespace npu {
namespace {

struct ListIndex {
  uint32_t first;
  uint32_t second;
};

// The list that a block of |units| belongs to.
ListIndex list_of(uint64_t units, uint32_t second_log2) {
  const uint32_t first = static_cast<uint32_t>(std::bit_width(units)) - 1;
  const uint64_t rest = units - (uint64_t{1} << first);
  const uint64_t second =
      first >= second_log2 ? rest >> (first - second_log2) : rest << (second_log2 - first);
  return {first, static_cast<uint32_t>(second)};
}

// Rounded up so that every block of the list found is large enough.
uint64_t round_for_search(uint64_t units, uint32_t second_log2) {
  const uint32_t first = static_cast<uint32_t>(std::bit_width(units)) - 1;
  if (first <= second_log2) return units;
  const uint64_t step = uint64_t{1} << (first - second_log2);
  return (units + step - 1) & ~(step - 1);
}

}  // namespace

PoolBlock* Pool::new_block() {
  if (!spare_.empty()) {
    PoolBlock* block = spare_.back();
    spare_.pop_back();
    *block = PoolBlock();
    return block;
  }
  // So that giving back needs no memory.
  if (spare_.capacity() <= blocks_.size()) spare_.reserve(2 * blocks_.size() + 16);
  return &blocks_.emplace_back();
}

void Pool::put_free(PoolBlock* block) {
  const auto [first, second] = list_of(block->size_bytes / kAlignBytes, kSecondLog2);
  PoolBlock*& head = lists_[first][second];
  block->is_free = true;
  block->free_before = nullptr;
  block->free_after = head;
  if (head != nullptr) head->free_before = block;
  head = block;
  first_map_ |= uint64_t{1} << first;
  second_map_[first] |= 1u << second;
}

void Pool::drop_free(PoolBlock* block) {
  const auto [first, second] = list_of(block->size_bytes / kAlignBytes, kSecondLog2);
  if (block->free_before != nullptr) {
    block->free_before->free_after = block->free_after;
  } else {
    lists_[first][second] = block->free_after;
  }
  if (block->free_after != nullptr) block->free_after->free_before = block->free_before;
  if (lists_[first][second] == nullptr) second_map_[first] &= ~(1u << second);
  if (second_map_[first] == 0) first_map_ &= ~(uint64_t{1} << first);
  block->is_free = false;
}

void Pool::add_chunk(PoolChunk* chunk) {
  PoolBlock* block = new_block();
  block->dva = chunk->dva;
  block->size_bytes = chunk->size_bytes;
  block->chunk = chunk;
  chunk->used_end = chunk->dva;
  put_free(block);
}

void Pool::remove_chunk(PoolBlock* whole) {
  drop_free(whole);
  spare_.push_back(whole);
}

void Pool::clear() {
  blocks_.clear();
  spare_.clear();
  first_map_ = 0;
  second_map_ = {};
  lists_ = {};
}

PoolBlock* Pool::take(uint64_t size_bytes) {
  const uint64_t units = (size_bytes + kAlignBytes - 1) / kAlignBytes;
  auto [first, second] = list_of(round_for_search(units, kSecondLog2), kSecondLog2);
  if (first >= kFirst) return nullptr;
  uint32_t seconds = second_map_[first] & (~0u << second);
  if (seconds == 0) {
    const uint64_t firsts = first_map_ & (~uint64_t{1} << first);
    if (firsts == 0) return nullptr;
    first = static_cast<uint32_t>(std::countr_zero(firsts));
    seconds = second_map_[first];
  }
  second = static_cast<uint32_t>(std::countr_zero(seconds));
  PoolBlock* block = lists_[first][second];
  const uint64_t wanted = units * kAlignBytes;
  PoolBlock* rest = block->size_bytes > wanted ? new_block() : nullptr;
  drop_free(block);
  if (rest != nullptr) {
    rest->dva = block->dva + wanted;
    rest->size_bytes = block->size_bytes - wanted;
    rest->chunk = block->chunk;
    rest->before = block;
    rest->after = block->after;
    if (rest->after != nullptr) rest->after->before = rest;
    block->after = rest;
    block->size_bytes = wanted;
    put_free(rest);
  }
  PoolChunk* chunk = block->chunk;
  const uint64_t end = block->dva + wanted;
  const uint64_t dirty_end = std::min(end, chunk->used_end);
  block->dirty_bytes = dirty_end > block->dva ? dirty_end - block->dva : 0;
  chunk->used_end = std::max(chunk->used_end, end);
  return block;
}

// Makes the free block behind |block| part of it.
void Pool::join_next(PoolBlock* block) {
  PoolBlock* next = block->after;
  block->size_bytes += next->size_bytes;
  block->after = next->after;
  if (block->after != nullptr) block->after->before = block;
  spare_.push_back(next);
}

PoolBlock* Pool::give_back(PoolBlock* block) {
  if (block->after != nullptr && block->after->is_free) {
    drop_free(block->after);
    join_next(block);
  }
  if (block->before != nullptr && block->before->is_free) {
    block = block->before;
    drop_free(block);
    join_next(block);
  }
  put_free(block);
  return block;
}

}  // namespace npu
