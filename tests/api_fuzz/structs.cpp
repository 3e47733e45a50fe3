// SPDX-License-Identifier: Apache-2.0
// Structs of libnpu that calls read.
#include "tests/api_fuzz/structs.h"

#include <cstring>

namespace npu::fuzz {
namespace {

// Now and then something in a word that must be zero.
uint32_t reserved(Fuzzer& f) {
  return !f.valid_only && f.rng.percent(4) ? static_cast<uint32_t>(f.rng.next()) : 0;
}

// Rows and slices of a copy: small ones that fit, and ones whose extents no address space holds.
uint32_t rows(Fuzzer& f) {
  if (!f.valid_only && f.rng.percent(6)) return f.rng.of<uint32_t>({0xffffffff, 0x80000000, 0});
  return f.rng.of<uint32_t>({1, 1, 2, 3});
}

uint64_t pitch(Fuzzer& f, uint32_t repeats, uint64_t least) {
  if (!f.valid_only && f.rng.percent(8)) return f.size();
  return repeats > 1 ? least + 64 * f.rng.below(2) : 0;
}

// Rows, slices and their distances, which both kinds of strided copy have.
template <typename Copy>
void fill_extents(Fuzzer& f, Copy& out) {
  using Pitch = decltype(out.dst_pitch_bytes);
  out.width_bytes = f.rng.percent(60) ? f.rng.of<uint64_t>({1, 64, 256}) : f.size();
  out.height = rows(f);
  out.depth = rows(f);
  out.dst_pitch_bytes = static_cast<Pitch>(pitch(f, out.height, out.width_bytes));
  out.src_pitch_bytes = static_cast<Pitch>(pitch(f, out.height, out.width_bytes));
  const uint64_t slice = out.height * (out.width_bytes + 64);
  out.dst_slice_pitch_bytes = pitch(f, out.depth, slice);
  out.src_slice_pitch_bytes = pitch(f, out.depth, slice);
}

}  // namespace

uint32_t struct_size(Fuzzer& f, size_t proper) {
  if (f.valid_only || !f.rng.percent(10)) return static_cast<uint32_t>(proper);
  const auto size = static_cast<uint32_t>(proper);
  return f.rng.of<uint32_t>({0, 1, 4, size - 8, size - 4, size + 4, size + 8, 4096, 4097,
                             0x7fffffff, 0xffffffff,
                             static_cast<uint32_t>(f.rng.below(4096 / 4)) * 4});
}

template <>
void fill(Fuzzer& f, npuQueueInfo& out) {
  out.priority = static_cast<int32_t>(f.rng.below(f.valid_only ? 2 : 4)) - 1;
  out.ring_entries = f.rng.of<uint32_t>({0, 64, 64, 128, 1024});
  out.timeout_ms = f.rng.of<uint32_t>({0, 0, 1, 1000});
  // Few of class NET: most copies stop them, and then whoever waits for them.
  out.queue_class = f.rng.one_in(8) ? f.rng.of<int32_t>({0, 1, 1, 1, 1, 1, 2, 3}) : 0;
  out.error_policy = static_cast<int32_t>(f.rng.below(f.valid_only ? 2 : 3));
  if (out.queue_class != NPU_QUEUE_CLASS_NET && !f.rng.one_in(16)) return;
  out.peer = reinterpret_cast<npuDevice>(f.handle(Kind::kDevice));
  out.port_mask = f.rng.of<uint64_t>({0, 0, 1, 2, 3, ~0ull});
  out.mtu_bytes = f.rng.of<uint32_t>({0, 0, 255, 256, 4096, 65536, 65537});
}

template <>
void fill(Fuzzer& f, npuMemPoolInfo& out) {
  out.kind = f.valid_only ? NPU_MEM_DEVICE : static_cast<int32_t>(f.rng.below(4));
  out.max_bytes = f.rng.percent(50) ? 0 : f.size();
  out.release_threshold = f.rng.percent(50) ? 0 : f.size();
}

template <>
void fill(Fuzzer& f, npuProfInfo& out) {
  out.kinds = f.rng.percent(60) ? NPU_PROF_ALL : static_cast<uint32_t>(f.rng.below(0x400));
  if (f.valid_only) out.kinds = NPU_PROF_ALL;
  out.capacity_records = f.rng.of<uint32_t>({1, 16, 1024});
  if (!f.valid_only && f.rng.percent(6))
    out.capacity_records = f.rng.of<uint32_t>({16777217, 0xffffffff});
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuLaunchInfo& out) {
  npuKernelInfo kernel{};
  kernel.struct_size = sizeof kernel;
  const bool known =
      f.kernel != 0 && npuKernelGetInfo(reinterpret_cast<npuKernel>(f.kernel), &kernel) == NPU_OK;
  auto* const words = static_cast<uint64_t*>(f.scratch(64));
  std::memset(words, 0, 64);
  words[0] = f.address();
  words[1] = f.address();
  words[2] = f.rng.next();
  if (kernel.args_bytes <= 8 && f.rng.percent(50)) words[0] = f.rng.below(3) | f.rng.below(3) << 32;
  out.args = words;
  out.args_bytes = known ? kernel.args_bytes : 8 * static_cast<uint32_t>(f.rng.below(4));
  if (!f.valid_only && f.rng.percent(6)) out.args_bytes = f.rng.of<uint32_t>({1, 7, 64, 0});
  if (!f.valid_only && f.rng.percent(3)) {
    out.args = nullptr;
    out.args_bytes = f.rng.of<uint32_t>({8, 4096, 0xffffffff});
  }
  for (uint32_t* extent : {&out.grid_x, &out.grid_y, &out.grid_z}) {
    *extent = f.rng.percent(70) ? 1 : static_cast<uint32_t>(1 + f.rng.below(3));
    if (!f.valid_only && f.rng.percent(3))
      *extent = f.rng.of<uint32_t>({0, 0x80000001, 0xffffffff});
  }
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuCopyInfo& out) {
  out.reserved = reserved(f);
  out.dst = f.address();
  out.src = f.address();
  fill_extents(f, out);
}

// What a pointer of the host is given for lies in the arena: a caller has that much memory. Whatever is larger comes without a host pointer.
template <>
void fill(Fuzzer& f, npuMemCopyInfo& out) {
  out.reserved = reserved(f);
  out.dst = f.address();
  out.src = f.address();
  fill_extents(f, out);
  const auto fits = [](uint64_t extent) { return extent <= 4 * kSmallBytes; };
  const bool on_host = out.height <= 3 && out.depth <= 3 && fits(out.width_bytes) &&
                       fits(out.dst_pitch_bytes) && fits(out.src_pitch_bytes) &&
                       fits(out.dst_slice_pitch_bytes) && fits(out.src_slice_pitch_bytes);
  if (!on_host) return;
  if (f.rng.percent(40)) {
    out.dst_host = f.host();
    if (!f.rng.one_in(16)) out.dst = 0;
  } else if (f.rng.percent(60)) {
    out.src_host = f.arena() + (100u << 20);
    if (!f.rng.one_in(16)) out.src = 0;
  }
}

template <>
void fill(Fuzzer& f, npuCommand& out) {
  out.kind = f.valid_only ? static_cast<int32_t>(1 + f.rng.below(7))
                          : static_cast<int32_t>(f.rng.below(9));
  if (f.valid_only && std::strcmp(f.function, "npuGraphExecUpdateNode") == 0 && f.rng.percent(70)) {
    out.kind = NPU_COMMAND_LAUNCH;  // what most nodes are
  }
  switch (out.kind) {
    case NPU_COMMAND_LAUNCH:
      out.as.launch.kernel = reinterpret_cast<npuKernel>(f.handle(Kind::kKernel));
      out.as.launch.info = make_struct<npuLaunchInfo>(f);
      break;
    case NPU_COMMAND_COPY:
      out.as.copy = {f.address(), f.address(), f.size()};
      break;
    case NPU_COMMAND_COPY_STRIDED:
      out.as.copy_strided.info = make_struct<npuCopyInfo>(f);
      break;
    case NPU_COMMAND_FILL:
      out.as.fill = {f.address(), f.rng.next(), f.size(), f.rng.of<uint32_t>({1, 2, 4, 8, 3}),
                     reserved(f)};
      break;
    case NPU_COMMAND_TIMESTAMP:
      out.as.timestamp = {f.address()};
      break;
    default:
      out.as.semaphore = {f.address(), f.value()};
      break;
  }
  if (!f.valid_only && f.rng.percent(4)) out.as.words[6] = f.rng.next();
}

namespace {

// One dimension whose parts a caller of |parts| shards could have.
npuShardDim shard_dim(Fuzzer& f, uint32_t parts) {
  npuShardDim dim{};
  dim.size = 1 + f.rng.below(9);
  dim.parts = parts;
  dim.kind = parts == 1 ? NPU_SHARD_NONE : f.rng.of<int32_t>({NPU_SHARD_BLOCK, NPU_SHARD_CYCLIC});
  dim.block = dim.kind == NPU_SHARD_CYCLIC ? 1 + f.rng.below(3) : 0;
  return dim;
}

}  // namespace

template <>
void fill(Fuzzer& f, npuShardedTensor& out) {
  out.element_bytes = f.rng.of<uint32_t>({1, 2, 4, 4, 8});
  out.rank = 1 + static_cast<uint32_t>(f.rng.below(3));
  out.shard_count = 1;
  for (uint32_t i = 0; i < out.rank; i++) {
    const auto parts = static_cast<uint32_t>(1 + f.rng.below(i == 0 ? 3 : 2));
    out.dims[i] = shard_dim(f, parts);
    out.shard_count *= parts;
  }
  auto* const shards = static_cast<npuShard*>(f.scratch(sizeof(npuShard) * kArrayMax));
  out.shards = shards;
  bool on_host = false;
  for (uint32_t i = 0; i < kArrayMax; i++) {
    shards[i] = {};
    if (i < out.shard_count && f.rng.percent(50)) {
      shards[i].context = reinterpret_cast<npuContext>(f.handle(Kind::kContext));
      shards[i].ptr = f.address();
      // A handle that came out as NULL means the host.
      if (shards[i].context == nullptr) shards[i].host = f.arena() + (i << 16);
    } else {
      shards[i].host = f.arena() + (i << 16);
      on_host = true;
    }
  }
  if (f.valid_only || f.rng.percent(70)) return;
  // What no caller can mean. Sizes that a shard of the host would have to hold are not among it.
  switch (f.rng.below(6)) {
    case 0:
      out.rank = f.rng.of<uint32_t>({0, 9, 0xffffffff});
      break;
    case 1:
      out.shard_count = f.rng.of<uint32_t>({0, 1025, 0xffffffff});
      break;
    case 2:
      out.element_bytes = f.rng.of<uint32_t>({0, 3, 16});
      break;
    case 3:
      out.dims[f.rng.below(NPU_TENSOR_RANK_MAX)].kind = static_cast<int32_t>(f.rng.next());
      break;
    case 4:
      out.dims[0].parts = f.rng.of<uint32_t>({0, 0x10000, 0xffffffff});
      break;
    default:
      if (!on_host) out.dims[0].size = f.rng.of<uint64_t>({0, ~0ull, uint64_t{1} << 63});
      break;
  }
}

}  // namespace npu::fuzz
