// SPDX-License-Identifier: Apache-2.0
// A buffer object: memory of the device or of the host that a client holds, and that address spaces map.
//
// Lifetime: shared by the handle, mappings, queues and pending waits; its memory is retired when the last one goes.
// Thread safety: the I/O thread owns it; host memory behind it is used by device threads too.
#ifndef NPU_MODEL_SERVER_BO_H_
#define NPU_MODEL_SERVER_BO_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "firmware-model/server/account.h"
#include "firmware-model/server/exports.h"
#include "firmware-model/server/hbm.h"
#include "firmware-model/server/shared_memory.h"
#include "firmware-model/server/unique_fd.h"
#include "uapi/npu_accel.h"

namespace npu::model::server {

class Device;

class Bo {
 public:
  // |args| has passed npu_validate_bo_create(). 0 or an errno.
  static int create(Device* device, const std::shared_ptr<Account>& account,
                    const npu_bo_create& args, std::shared_ptr<Bo>* out);
  // |file| has passed check_shared_file().
  static int create_from_file(Device* device, const std::shared_ptr<Account>& account,
                              UniqueFd file, uint64_t offset, uint64_t bytes, bool writable,
                              std::shared_ptr<Bo>* out);
  // A second handle of |origin|, perhaps of another connection. The memory stays charged to its maker's user; here it counts against the connection, so that
  // each who holds it is seen to.
  static int create_import(Device* device, const std::shared_ptr<Account>& account,
                           std::shared_ptr<Bo> origin, bool writable, std::shared_ptr<Bo>* out);
  ~Bo();
  Bo(const Bo&) = delete;
  Bo& operator=(const Bo&) = delete;

  uint64_t bytes() const { return bytes_; }
  uint32_t region() const { return region_; }
  uint32_t flags() const { return flags_; }
  bool writable() const { return writable_; }
  bool mappable() const { return file() >= 0 && (flags_ & NPU_BO_NO_MMAP) == 0; }
  // Other connections may have it.
  bool exportable() const { return mappable() && vm_id_ == 0 && (flags_ & NPU_BO_SYNC) == 0; }
  // Makes it known to those who hold its file.
  static void publish(const std::shared_ptr<Bo>& bo);
  uint32_t vm_id() const { return vm_id_; }  // 0: any VM
  int file() const { return origin_ != nullptr ? origin_->file() : file_.get(); }
  uint64_t file_offset() const { return file_offset_; }
  uint64_t page_bytes() const;

  // The host address of one byte; what follows is contiguous to the end of its 64 KiB granule at least.
  std::byte* host(uint64_t offset) const;
  // Calls |visit| with each physically contiguous piece of a range: address as page tables hold it, bytes. Stops at the
  // first result that is not 0 and returns it.
  int each_piece(uint64_t offset, uint64_t bytes,
                 const std::function<int(uint64_t pa, uint64_t bytes)>& visit) const;

  std::string label;

 private:
  explicit Bo(Device* device) : device_(device) {}
  int back_with_hbm(const npu_bo_create& args);
  int back_with_host();

  Device* device_;
  uint64_t bytes_ = 0;
  uint32_t region_ = NPU_REGION_SYSTEM;
  uint32_t flags_ = 0;
  uint32_t vm_id_ = 0;
  bool writable_ = true;
  std::shared_ptr<Bo> origin_;  // of an import
  Exports::FileId published_{0, 0};
  UniqueFd file_;
  uint64_t file_offset_ = 0;
  std::vector<Extent> extents_;       // HBM
  std::shared_ptr<Mapping> mapping_;  // system memory
  uint64_t iova_ = 0;
  Charge charge_bytes_;
  Charge charge_object_;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_BO_H_
