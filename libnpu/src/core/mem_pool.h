// SPDX-License-Identifier: Apache-2.0
// MemPool and MemHandle: the handles of a queue-ordered pool, and of memory that has no address yet.
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <memory>

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/ordered_pool.h"
#include "libnpu/src/core/status.h"

namespace npu {

class MemPool final : public Object {
 public:
  static constexpr Kind kKind = Kind::kMemPool;

  MemPool(Ref<Context> context, const OrderedPoolOptions& options);

  Context& context() const { return *context_; }
  OrderedPool& pool() const { return *pool_; }

  // Memory of at least |size_bytes| for commands that |queue| gets from now on.
  Result<uint64_t> allocate(Queue& queue, uint64_t size_bytes);
  // All its allocations end; the memory goes back when the work submitted so far has ended.
  void end(HandleTable& handles) override;

 private:
  ~MemPool() override = default;

  const Ref<Context> context_;
  const std::shared_ptr<OrderedPool> pool_;
};

class MemHandle final : public Object {
 public:
  static constexpr Kind kKind = Kind::kMemHandle;

  MemHandle(Ref<Context> context, std::shared_ptr<Storage> storage)
      : Object(kKind), context_(std::move(context)), storage_(std::move(storage)) {}

  Context& context() const { return *context_; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }

 private:
  ~MemHandle() override = default;

  const Ref<Context> context_;
  std::shared_ptr<Storage> storage_;
};

}  // namespace npu
