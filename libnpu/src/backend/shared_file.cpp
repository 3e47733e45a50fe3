// SPDX-License-Identifier: Apache-2.0
// memfds and dma-bufs, seen through their descriptors.
#include "libnpu/src/backend/shared_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace npu {
namespace {

constexpr uint64_t kSharedIdMark = 1ull << 63;

bool is_sealed(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

// One line of /proc/self/maps.
struct Area {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t offset = 0;
  uint64_t device = 0;
  uint64_t inode = 0;
  bool shared = false;
};

bool next_area(FILE* maps, Area* out) {
  char line[512];
  char mode[8];
  unsigned major_number = 0;
  unsigned minor_number = 0;
  if (fgets(line, sizeof line, maps) == nullptr) return false;
  // A longer line has a longer path; its numbers come first.
  for (char* end = line; end != nullptr && end[0] != '\0';) {
    while (*end != '\0' && *end != '\n') end++;
    if (*end == '\n') break;
    char rest[512];
    if (fgets(rest, sizeof rest, maps) == nullptr) break;
    const char* cut = rest;
    while (*cut != '\0' && *cut != '\n') cut++;
    if (*cut == '\n') break;
  }
  const int got =
      sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64, &out->begin, &out->end,
             mode, &out->offset, &major_number, &minor_number, &out->inode);
  out->device = makedev(major_number, minor_number);
  out->shared = got == 7 && mode[3] == 's';
  return got == 7;
}

// Areas side by side of one file count as one.
int find_area(uint64_t begin, uint64_t end, Area* out) {
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return errno;
  Area area;
  bool found = false;
  for (uint64_t at = begin; next_area(maps, &area);) {
    if (area.end <= at) continue;
    const bool fits = area.begin <= at && area.shared && area.inode != 0;
    if (!fits) break;
    if (at == begin) *out = area;
    if (area.inode != out->inode || area.device != out->device ||
        area.offset + (at - area.begin) != out->offset + (at - out->begin)) {
      break;
    }
    at = area.end;
    found = at >= end;
    if (found) break;
  }
  fclose(maps);
  return found ? 0 : ENOENT;
}

int find_descriptor(const Area& area, UniqueFd* out) {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return errno;
  int error = ENOENT;
  while (const dirent* entry = readdir(folder)) {
    char* end = nullptr;
    const long number = strtol(entry->d_name, &end, 10);
    struct stat status {};
    if (end == entry->d_name || *end != '\0' || fstat(static_cast<int>(number), &status) != 0)
      continue;
    if (status.st_ino != area.inode || status.st_dev != area.device) continue;
    if (!is_sealed(static_cast<int>(number))) continue;
    out->reset(fcntl(static_cast<int>(number), F_DUPFD_CLOEXEC, 0));
    error = out->valid() ? 0 : errno;
    break;
  }
  closedir(folder);
  return error;
}

}  // namespace

int describe_shared_file(int fd, SharedFileInfo* out) {
  struct stat status {};
  const int mode = fcntl(fd, F_GETFL);
  if (fd < 0 || mode < 0 || fstat(fd, &status) != 0) return EBADF;
  out->is_writable = (mode & O_ACCMODE) == O_RDWR;
  struct statfs system {};
  out->is_memory = is_sealed(fd);
  out->is_dma_buf = fstatfs(fd, &system) == 0 && system.f_type == DMA_BUF_MAGIC;
  out->size_bytes = static_cast<uint64_t>(status.st_size);
  // Older kernels tell the size of a dma-buf only so; it has no position that this could move.
  if (const off_t end = out->is_dma_buf ? lseek(fd, 0, SEEK_END) : 0; end > 0) {
    out->size_bytes = static_cast<uint64_t>(end);
  }
  out->id = kSharedIdMark | ((static_cast<uint64_t>(status.st_dev) & 0x7f) << 56) |
            (static_cast<uint64_t>(status.st_ino) & ((uint64_t{1} << 56) - 1));
  return 0;
}

int create_shared_copy(const void* bytes, uint64_t size_bytes, uint64_t offset, uint64_t file_bytes,
                       UniqueFd* out) {
  UniqueFd file(memfd_create("npu-registered", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return errno;
  if (ftruncate(file.get(), static_cast<off_t>(file_bytes)) != 0) return errno;
  const auto* from = static_cast<const char*>(bytes);
  for (uint64_t done = 0; done < size_bytes;) {
    const size_t step = static_cast<size_t>(std::min<uint64_t>(size_bytes - done, 1 << 30));
    // EFAULT where the caller's range is not mapped: no crash. By the call itself: whole pages are taken, and a sanitizer would find that they are no single object.
    const long count = syscall(SYS_pwrite64, file.get(), from + done, step, offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : ENOSPC;
    done += static_cast<uint64_t>(count);
  }
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return errno;
  *out = std::move(file);
  return 0;
}

int find_mapped_memory(const void* host, uint64_t size_bytes, UniqueFd* out, uint64_t* out_offset) {
  const uint64_t begin = reinterpret_cast<uintptr_t>(host);
  Area area;
  if (const int error = find_area(begin, begin + size_bytes, &area); error != 0) return error;
  if (const int error = find_descriptor(area, out); error != 0) return error;
  *out_offset = area.offset + (begin - area.begin);
  return 0;
}

}  // namespace npu
