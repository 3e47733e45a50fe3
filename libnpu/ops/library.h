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
#include <mutex>
#include <string>
#include <utility>

#include "libnpu/ops/plan.h"

namespace npu::ops {

class Library final : public ChipSource {
 public:
  // Loads |path|, or where it is NULL the blob that common::blob_path() finds.
  static npuResult create(npuContext context, const char* path, std::shared_ptr<Library>* out);
  Library(npuContext context, std::string path) : context_(context), path_(std::move(path)) {}
  ~Library();

  // Asks the device when it is first called; one that cannot be told of is not known.
  const Chip& chip() override;

  npuResult launch(npuQueue queue, const Plan& plan, uint64_t* out_value);
  // The program of |plan|, with its arguments' size checked.
  npuResult kernel_of(const Plan& plan, npuKernel* out);

 private:
  // Looks a program up when it is first used, and checks that its arguments are those that the plan writes.
  npuResult find(const Plan& plan, npuKernel* out);

  void ask_device();
  // The module of |program|. That of the wide ones is loaded when the first of them is needed.
  npuResult module_of(uint32_t program, npuModule* out);
  std::string wide_path() const;

  const npuContext context_;
  const std::string path_;  // of the blob
  npuModule module_ = nullptr;
  std::once_flag chip_once_;
  Chip chip_;
  std::mutex mutex_;  // of wide_module_
  npuModule wide_module_ = nullptr;
  // A kernel handle once it was found: two threads may find it twice, with the same result.
  std::array<std::atomic<npuKernel>, kProgramEnd> kernels_{};
};

npuOps add_handle(std::shared_ptr<Library> library);  // NULL: the table is full
std::shared_ptr<Library> find_handle(npuOps handle);  // empty: no such handle
bool remove_handle(npuOps handle);

}  // namespace npu::ops

#endif  // LIBNPU_OPS_LIBRARY_H_
