// SPDX-License-Identifier: Apache-2.0
// Objects that another connection may import: whoever holds the memfd of one can name it. The inode behind the descriptor is the identity: nobody can make a second file with it, and
// only the owner's connection was ever given a descriptor.
//
// Thread safety: the I/O thread owns it.
#ifndef NPU_MODEL_SERVER_EXPORTS_H_
#define NPU_MODEL_SERVER_EXPORTS_H_

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace npu::model::server {

class Bo;

class Exports {
 public:
  using FileId = std::pair<uint64_t, uint64_t>;  // device, inode; {0, 0}: none

  static FileId id_of(int fd) {
    struct stat st {};
    if (fd < 0 || fstat(fd, &st) != 0) return {0, 0};
    return {static_cast<uint64_t>(st.st_dev), static_cast<uint64_t>(st.st_ino)};
  }
  void add(const FileId& id, std::weak_ptr<Bo> bo) { objects_[id] = std::move(bo); }
  void remove(const FileId& id) { objects_.erase(id); }
  // Null: the file is of no living object of this device.
  std::shared_ptr<Bo> find(int fd) const {
    const auto found = objects_.find(id_of(fd));
    return found == objects_.end() ? nullptr : found->second.lock();
  }

 private:
  std::map<FileId, std::weak_ptr<Bo>> objects_;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_EXPORTS_H_
