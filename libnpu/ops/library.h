// SPDX-License-Identifier: Apache-2.0
// The loaded operators of one context, and the table of handles to them.
// Thread safety: all functions.
#ifndef LIBNPU_OPS_LIBRARY_H_
#define LIBNPU_OPS_LIBRARY_H_

#include <npu/npu_module.h>
#include <npu/npu_ops.h>
#include <npu/npu_queue.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "libnpu/ops/plan.h"

namespace npu::ops {

class Library {
 public:
  // Loads |path|, or where it is NULL the blob that common::blob_path() finds.
  static npuResult create(npuContext context, const char* path, std::shared_ptr<Library>* out);
  ~Library();

  npuResult launch(npuQueue queue, const Plan& plan, uint64_t* out_value);
  // The program of |plan|, with its arguments' size checked.
  npuResult kernel_of(const Plan& plan, npuKernel* out);

 private:
  // Looks a program up when it is first used, and checks that its arguments are those that the plan writes.
  npuResult find(const Plan& plan, npuKernel* out);

  npuModule module_ = nullptr;
  // A kernel handle once it was found: two threads may find it twice, with the same result.
  std::array<std::atomic<npuKernel>, kProgramCount> kernels_{};
};

npuOps add_handle(std::shared_ptr<Library> library);  // NULL: the table is full
std::shared_ptr<Library> find_handle(npuOps handle);  // empty: no such handle
bool remove_handle(npuOps handle);

}  // namespace npu::ops

#endif  // LIBNPU_OPS_LIBRARY_H_
