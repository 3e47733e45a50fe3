// SPDX-License-Identifier: Apache-2.0
// Pools as objects of a context.
#include "libnpu/src/core/mem_pool.h"

#include "libnpu/src/core/error.h"
#include "libnpu/src/core/handle.h"

namespace npu {

MemPool::MemPool(Ref<Context> context, const OrderedPoolOptions& options)
    : Object(kKind),
      context_(std::move(context)),
      pool_(std::make_shared<OrderedPool>(context_->vm(), options)) {}

Result<uint64_t> MemPool::allocate(Queue& queue, uint64_t size_bytes) {
  if (&queue.context() != context_.get()) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "pool and queue belong to different contexts");
  }
  NPU_TRY_ASSIGN(const OrderedPool::Piece piece, pool_->take(queue, size_bytes));
  Allocation allocation;
  allocation.size_bytes = size_bytes;
  allocation.origin = Origin::kPool;
  allocation.storage = piece.storage;
  allocation.storage_dva = piece.storage_dva;
  allocation.block = piece.block;
  allocation.pool = pool_;
  NPU_TRY(context_->memory().enter(piece.dva, std::move(allocation)));
  if (!pool_->is_closed()) return piece.dva;
  // The pool's end may have looked through the books before this entry was in them.
  context_->memory().detach_pool(pool_.get());
  return fail(NPU_ERROR_INVALID_HANDLE, "the pool was destroyed");
}

void MemPool::end(HandleTable&) {
  RetiredBuffers buffers = pool_->close();
  // Their storages are held by the buffers, which outlive the work.
  context_->memory().detach_pool(pool_.get());
  if (buffers.empty()) return;
  context_->retire(std::shared_ptr<void>(std::make_shared<RetiredBuffers>(std::move(buffers))));
}

}  // namespace npu
