// SPDX-License-Identifier: Apache-2.0
// npu_memory.h, copies by the host: check, call, translate.
#include <deque>
#include <vector>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/api/memory.h"
#include "libnpu/src/core/command.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/host_copy.h"
#include "libnpu/src/core/validation.h"

using namespace npu;
using api::guard;

namespace {

using Ull = unsigned long long;

// One side of a copy: memory of a context, or of the process.
struct Side {
  Context* context = nullptr;  // null: host
  uint64_t begin = 0;          // device or host address
  HostView view;
};

bool overlap(const Side& a, const Side& b) {
  return a.context == b.context && a.view.size_bytes() != 0 && b.view.size_bytes() != 0 &&
         a.begin < b.begin + b.view.size_bytes() && b.begin < a.begin + a.view.size_bytes();
}

Status look_at(Context* context, uint64_t ptr, const void* host, uint64_t size_bytes,
               const char* what, Side* out) {
  out->context = context;
  out->begin = context != nullptr ? ptr : reinterpret_cast<uintptr_t>(host);
  if (context != nullptr) {
    NPU_TRY_ASSIGN(out->view, context->memory().view(ptr, size_bytes, what));
    return Status::ok();
  }
  if (out->begin > UINT64_MAX - size_bytes) {
    return fail(NPU_ERROR_OVERFLOW, "%s passes the end of the address space", what);
  }
  out->view = HostView(const_cast<void*>(host), size_bytes);
  return Status::ok();
}

// Also against unfinished work, with the layer "validation".
Status check_readable(const Side& side, const char* what) {
  if (side.context == nullptr) return Status::ok();
  return Validation::check_host_access(*side.context, side.begin, side.view.size_bytes(), false,
                                       what);
}

Status check_writable(const Side& side, const char* what) {
  if (side.view.readonly()) {
    return fail(NPU_ERROR_PERMISSION, "%s is memory that may only be read", what);
  }
  if (side.context == nullptr) return Status::ok();
  return Validation::check_host_access(*side.context, side.begin, side.view.size_bytes(), true,
                                       what);
}

Status check_one_of(npuDevPtr ptr, const void* host, const char* what) {
  if ((ptr != 0) != (host != nullptr)) return Status::ok();
  return fail(NPU_ERROR_INVALID_ARGUMENT, "of %s and %s_host one must be set, the other 0", what,
              what);
}

Status copy_strided_now(Context& context, const npuMemCopyInfo& info) {
  CopyShape shape;
  shape.width_bytes = info.width_bytes;
  shape.height = info.height;
  shape.depth = info.depth;
  if (shape.height == 0 || shape.depth == 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "height is %u and depth %u: each is at least 1",
                shape.height, shape.depth);
  }
  NPU_TRY(check_one_of(info.dst, info.dst_host, "dst"));
  NPU_TRY(check_one_of(info.src, info.src_host, "src"));
  uint64_t dst_bytes = 0;
  uint64_t src_bytes = 0;
  NPU_TRY(copy_extent(shape, info.dst_pitch_bytes, info.dst_slice_pitch_bytes, "dst", &dst_bytes));
  NPU_TRY(copy_extent(shape, info.src_pitch_bytes, info.src_slice_pitch_bytes, "src", &src_bytes));
  if (shape.width_bytes == 0) return Status::ok();
  Side dst;
  Side src;
  NPU_TRY(
      look_at(info.dst != 0 ? &context : nullptr, info.dst, info.dst_host, dst_bytes, "dst", &dst));
  NPU_TRY(
      look_at(info.src != 0 ? &context : nullptr, info.src, info.src_host, src_bytes, "src", &src));
  NPU_TRY(check_writable(dst, "dst"));
  NPU_TRY(check_readable(src, "src"));
  if (overlap(dst, src)) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "source and destination overlap");
  }
  copy_strided(dst.view, src.view,
               {info.width_bytes, info.height, info.depth, info.dst_pitch_bytes,
                info.src_pitch_bytes, info.dst_slice_pitch_bytes, info.src_slice_pitch_bytes});
  finish_host_writes();
  return Status::ok();
}

// Block and cyclic in one form; see ShardDim.
Status translate(const npuShardDim& from, uint32_t number, ShardDim* out) {
  out->size = from.size;
  out->parts = from.parts;
  const bool whole = from.kind == NPU_SHARD_NONE;
  const bool cyclic = from.kind == NPU_SHARD_CYCLIC;
  if (!whole && !cyclic && from.kind != NPU_SHARD_BLOCK) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "dims[%u].kind is %d", number, from.kind);
  }
  if (from.parts == 0 || (whole && from.parts != 1) || cyclic != (from.block != 0)) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "dims[%u] has %u parts and blocks of %llu: parts is at least 1, and 1 where the "
                "dimension is whole; block is 0 unless the kind is cyclic",
                number, from.parts, Ull{from.block});
  }
  out->block = cyclic ? from.block : from.size / from.parts + (from.size % from.parts != 0);
  if (out->block == 0) out->block = 1;
  return Status::ok();
}

struct Tensor {
  ShardLayout layout;
  std::deque<Pin<Context>> pins;
  std::vector<Side> sides;
};

Status read_tensor(const npuShardedTensor* user, const char* what, Tensor* out) {
  npuShardedTensor info{};
  NPU_TRY(api::read_struct(user, what, &info));
  if (info.rank == 0 || info.rank > NPU_TENSOR_RANK_MAX) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "%s->rank is %u, it must be 1 to %d", what, info.rank,
                NPU_TENSOR_RANK_MAX);
  }
  ShardDim dims[NPU_TENSOR_RANK_MAX];
  for (uint32_t i = 0; i < info.rank; i++) NPU_TRY(translate(info.dims[i], i, &dims[i]));
  NPU_TRY_ASSIGN(out->layout, ShardLayout::create(dims, info.rank, info.element_bytes));
  if (info.shard_count > NPU_TENSOR_SHARDS_MAX || info.shard_count != out->layout.shard_count()) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s->shard_count is %u; the parts make %llu shards, and at most %d may be", what,
                info.shard_count, Ull{out->layout.shard_count()}, NPU_TENSOR_SHARDS_MAX);
  }
  NPU_TRY(api::need(info.shards, "shards"));
  out->sides.resize(info.shard_count);
  for (uint32_t i = 0; i < info.shard_count; i++) {
    const npuShard shard = info.shards[i];
    const uint64_t bytes = out->layout.shard_bytes(i);
    if (shard.context == nullptr && shard.host == nullptr && bytes != 0) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "%s->shards[%u] is nowhere", what, i);
    }
    Context* context = nullptr;
    if (shard.context != nullptr) {
      NPU_TRY(api::take(out->pins.emplace_back(), shard.context, "context of a shard"));
      context = out->pins.back().get();
    }
    if (bytes != 0) NPU_TRY(look_at(context, shard.ptr, shard.host, bytes, what, &out->sides[i]));
  }
  return Status::ok();
}

Status copy_tensor_now(Tensor& dst, Tensor& src) {
  if (!dst.layout.same_tensor(src.layout)) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "source and destination differ in rank, size or element_bytes");
  }
  for (size_t i = 0; i < dst.sides.size(); i++) {
    NPU_TRY(check_writable(dst.sides[i], "a shard of dst"));
    for (size_t k = 0; k < dst.sides.size() + src.sides.size(); k++) {
      const bool own = k < dst.sides.size();
      const Side& other = own ? dst.sides[k] : src.sides[k - dst.sides.size()];
      if ((own && k <= i) || !overlap(dst.sides[i], other)) continue;
      return fail(NPU_ERROR_INVALID_ARGUMENT, "shard %zu of dst overlaps another shard", i);
    }
  }
  for (const Side& side : src.sides) NPU_TRY(check_readable(side, "a shard of src"));
  std::vector<HostView> dst_views;
  std::vector<HostView> src_views;
  for (Side& side : dst.sides) dst_views.push_back(std::move(side.view));
  for (Side& side : src.sides) src_views.push_back(std::move(side.view));
  copy_tensor(dst.layout, dst_views, src.layout, src_views);
  finish_host_writes();
  return Status::ok();
}

}  // namespace

extern "C" {

npuResult npuMemCopyStrided(npuContext context, const npuMemCopyInfo* info) {
  return guard(__func__, NPU_ARGS(context, info), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    npuMemCopyInfo copy{};
    NPU_TRY(api::read_struct(info, "info", &copy));
    if (copy.reserved != 0) return fail(NPU_ERROR_RESERVED_NOT_ZERO, "info->reserved is not 0");
    return copy_strided_now(*pin, copy);
  });
}

npuResult npuMemFill(npuContext context, npuDevPtr dst, const void* pattern, uint32_t pattern_bytes,
                     uint64_t size_bytes) {
  return guard(
      __func__, NPU_ARGS(context, dst, pattern, pattern_bytes, size_bytes), [&]() -> Status {
        Pin<Context> pin;
        NPU_TRY(api::take(pin, context, "context"));
        NPU_TRY(api::need(pattern, "pattern"));
        const bool power = pattern_bytes != 0 && (pattern_bytes & (pattern_bytes - 1)) == 0;
        if (!power || pattern_bytes > 16) {
          return fail(NPU_ERROR_INVALID_ARGUMENT,
                      "pattern_bytes is %u, it must be 1, 2, 4, 8 or 16", pattern_bytes);
        }
        if (((dst | size_bytes) & (pattern_bytes - 1)) != 0) {
          return fail(NPU_ERROR_UNALIGNED, "dst 0x%llx or size_bytes %llu is no multiple of %u",
                      Ull{dst}, Ull{size_bytes}, pattern_bytes);
        }
        if (size_bytes == 0) return pin->memory().check(dst, 0, "dst");
        Side side;
        NPU_TRY(look_at(pin.get(), dst, nullptr, size_bytes, "dst", &side));
        NPU_TRY(check_writable(side, "dst"));
        fill_view(side.view, pattern, pattern_bytes);
        finish_host_writes();
        return Status::ok();
      });
}

npuResult npuMemCopyTensor(const npuShardedTensor* dst, const npuShardedTensor* src) {
  return guard(__func__, NPU_ARGS(dst, src), [&]() -> Status {
    Tensor to;
    Tensor from;
    NPU_TRY(read_tensor(dst, "dst", &to));
    NPU_TRY(read_tensor(src, "src", &from));
    return copy_tensor_now(to, from);
  });
}

npuResult npuMemCopyPeer(npuContext dst_context, npuDevPtr dst, npuContext src_context,
                         npuDevPtr src, uint64_t size_bytes) {
  return guard(__func__, NPU_ARGS(dst_context, dst, src_context, src, size_bytes), [&]() -> Status {
    Pin<Context> dst_pin;
    Pin<Context> src_pin;
    NPU_TRY(api::take(dst_pin, dst_context, "dst_context"));
    NPU_TRY(api::take(src_pin, src_context, "src_context"));
    Side to;
    Side from;
    NPU_TRY(look_at(dst_pin.get(), dst, nullptr, size_bytes, "dst", &to));
    NPU_TRY(look_at(src_pin.get(), src, nullptr, size_bytes, "src", &from));
    NPU_TRY(check_writable(to, "dst"));
    NPU_TRY(check_readable(from, "src"));
    if (overlap(to, from)) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "source and destination overlap");
    }
    HostView::copy(to.view, 0, from.view, 0, size_bytes);
    finish_host_writes();
    return Status::ok();
  });
}

}  // extern "C"
