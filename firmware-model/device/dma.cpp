// SPDX-License-Identifier: Apache-2.0
// Shape checks, the row loops, and the cost of transfers.
#include "firmware-model/device/dma.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "firmware-model/tile/guest_access.h"
#include "uapi/npu_accel.h"

namespace npu::model {
namespace {

using Wide = unsigned __int128;

// Longest piece between two looks at the cancel flag: some 50 ms, and long enough for the host's
// memcpy to choose stores that go around the cache.
constexpr uint64_t kPieceBytes = uint64_t{256} << 20;
constexpr uint64_t kBytesPerOperation = 64;
// A transfer through the port host_copy.
constexpr uint64_t kBounceBytes = 64 * 1024;
constexpr Wide kAddressEnd = Wide{1} << NPU_VA_BITS;

// Rows of one side of a transfer.
struct Side {
  uint64_t base = 0;
  uint64_t pitch = 0;
  uint64_t slice_pitch = 0;
};

struct Shape {
  uint64_t width = 0;
  uint64_t height = 1;
  uint64_t depth = 1;
};

// Distance from the first byte to behind the last one; nothing when it leaves the address space.
std::optional<uint64_t> extent(const Side& side, const Shape& shape) {
  const Wide bytes =
      Wide{shape.height - 1} * side.pitch + Wide{shape.depth - 1} * side.slice_pitch + shape.width;
  if (bytes > kAddressEnd || side.base + bytes > kAddressEnd) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

// Pitches that have no meaning are 0; the others keep rows and slices apart: either slices stand
// behind each other, or the rows of the slices are interleaved.
bool pitches_fit(const Side& side, const Shape& shape) {
  if (shape.height == 1 && side.pitch != 0) return false;
  if (shape.depth == 1 && side.slice_pitch != 0) return false;
  if (shape.height > 1 && side.pitch < shape.width) return false;
  if (shape.depth > 1 && side.slice_pitch < shape.width) return false;
  if (shape.height == 1 || shape.depth == 1) return true;
  const Wide slice = Wide{shape.height - 1} * side.pitch + shape.width;
  const Wide row = Wide{shape.depth - 1} * side.slice_pitch + shape.width;
  return side.slice_pitch >= slice || side.pitch >= row;
}

// Exact for rows of equal pitch (columns of one matrix may be copied beside each other); else by
// the whole extents.
bool sides_overlap(const Side& a, uint64_t a_bytes, const Side& b, uint64_t b_bytes,
                   const Shape& shape) {
  if (a.base + a_bytes <= b.base || b.base + b_bytes <= a.base) return false;
  if (shape.depth != 1 || a.pitch != b.pitch || a.pitch == 0) return true;
  const uint64_t distance = a.base < b.base ? b.base - a.base : a.base - b.base;
  const uint64_t rest = distance % a.pitch;
  const uint64_t rows = distance / a.pitch;
  if (rest < shape.width && rows < shape.height) return true;
  return a.pitch - rest < shape.width && rows + 1 < shape.height;
}

// Pieces end at page borders, hence at multiples of every pattern size.
void paint(std::byte* to, uint64_t bytes, uint64_t pattern) {
  const GuestAccess access;
  if (pattern == (pattern & 0xff) * 0x0101010101010101ull) {
    std::memset(to, static_cast<int>(pattern & 0xff), bytes);
    return;
  }
  uint64_t at = 0;
  for (; at + 8 <= bytes; at += 8) std::memcpy(to + at, &pattern, 8);
  std::memcpy(to + at, &pattern, bytes - at);
}

}  // namespace

uint64_t Dma::duration_ps(uint64_t hbm_bytes, uint64_t host_bytes) const {
  const auto rate = [](uint64_t bytes, uint64_t mbytes_per_s) {
    const uint64_t divisor = std::max<uint64_t>(1, mbytes_per_s);
    // A division of 128 bits costs as much as copying some kilobytes.
    uint64_t scaled = 0;
    if (!__builtin_mul_overflow(bytes, uint64_t{1'000'000}, &scaled)) [[likely]] {
      return scaled / divisor + (scaled % divisor != 0);
    }
    return static_cast<uint64_t>((Wide{bytes} * 1'000'000 + divisor - 1) / divisor);
  };
  const uint64_t setup_ps = uint64_t{profile_.dma_setup_cycles} * 1'000'000'000 /
                            std::max<uint32_t>(1, profile_.core_clock_khz);
  return setup_ps + std::max(rate(hbm_bytes, profile_.hbm_mbytes_per_s),
                             rate(host_bytes, profile_.host_mbytes_per_s));
}

void Dma::count(const std::byte* at, uint64_t bytes, DmaResult* result) const {
  (hbm_.holds(at) ? result->hbm_bytes : result->host_bytes) += bytes;
}

std::byte* Dma::bounce() {
  if (bounce_ == nullptr) bounce_ = std::make_unique_for_overwrite<std::byte[]>(kBounceBytes);
  return bounce_.get();
}

uint64_t Dma::read_by_port(const DmaJob& job, uint64_t src, uint64_t wanted_bytes,
                           std::byte** out) {
  *out = bounce();
  return job.space.copy_by_port(src, std::min(wanted_bytes, kBounceBytes), NPU_ACCESS_READ, *out);
}

uint64_t Dma::write_by_port(const DmaJob& job, uint64_t dst, uint64_t wanted_bytes,
                            const std::byte* from, DmaResult* result) {
  const uint64_t bytes = std::min(wanted_bytes, kBounceBytes);
  // The port reads what others may be writing: it gets a copy.
  std::memmove(bounce(), from, bytes);
  const uint64_t done = job.space.copy_by_port(dst, bytes, NPU_ACCESS_WRITE, bounce());
  result->host_bytes += done;
  return done;
}

bool Dma::copy_row(const DmaJob& job, uint64_t src, uint64_t dst, uint64_t bytes,
                   DmaResult* result) {
  while (bytes != 0) {
    if (job.cancel.load(std::memory_order_relaxed)) {
      result->status = NPU_ST_CANCELED;
      return false;
    }
    const uint64_t wanted = std::min(bytes, kPieceBytes);
    std::byte* from = nullptr;
    std::byte* to = nullptr;
    uint64_t readable = src_.get_run(job.space, src, wanted, NPU_ACCESS_READ, &from);
    if (readable == 0) readable = read_by_port(job, src, wanted, &from);
    uint64_t writable =
        readable == 0 ? 0 : dst_.get_run(job.space, dst, readable, NPU_ACCESS_WRITE, &to);
    if (job.crosses && readable != 0 && hbm_.holds(from) == hbm_.holds(to)) {
      result->status = NPU_ST_BAD_COMMAND;
      return false;
    }
    if (readable != 0 && writable == 0) writable = write_by_port(job, dst, readable, from, result);
    if (writable == 0) {
      result->status = NPU_ST_VM_FAULT;
      result->fault_dva = readable == 0 ? src : dst;
      result->access = readable == 0 ? NPU_ACCESS_READ : NPU_ACCESS_WRITE;
      return false;
    }
    if (to != nullptr) {
      const GuestAccess access;
      std::memmove(to, from, writable);
      dst_.wrote(job.space, to, writable);
      count(to, writable, result);
    }
    count(from, writable, result);
    if (job.crosses) {
      (hbm_.holds(from) ? result->sent_bytes : result->received_bytes) += writable;
    }
    src += writable;
    dst += writable;
    bytes -= writable;
  }
  return true;
}

DmaResult Dma::copy(const DmaJob& job, const npu_cmd_copy& command) {
  DmaResult result;
  const Shape shape{command.width_bytes, command.height, command.depth};
  const Side src{command.src_dva, command.src_pitch, command.src_slice_pitch};
  const Side dst{command.dst_dva, command.dst_pitch, command.dst_slice_pitch};
  result.status = NPU_ST_BAD_COMMAND;
  if (shape.width == 0 || shape.height == 0 || shape.depth == 0) return result;
  if (!pitches_fit(src, shape) || !pitches_fit(dst, shape)) return result;
  const auto src_bytes = extent(src, shape);
  const auto dst_bytes = extent(dst, shape);
  if (!src_bytes || !dst_bytes || sides_overlap(src, *src_bytes, dst, *dst_bytes, shape)) {
    return result;
  }
  // Rows keep apart inside 2^48 bytes, so this product is below 2^48 too. One operation a row at
  // least.
  const uint64_t rows = shape.height * shape.depth;
  if (rows + rows * shape.width / kBytesPerOperation > job.budget) {
    result.status = NPU_ST_WATCHDOG;
    return result;
  }
  result.status = NPU_ST_OK;
  for (uint64_t slice = 0; slice < shape.depth; ++slice) {
    for (uint64_t row = 0; row < shape.height; ++row) {
      const uint64_t from = src.base + slice * src.slice_pitch + row * src.pitch;
      const uint64_t to = dst.base + slice * dst.slice_pitch + row * dst.pitch;
      if (!copy_row(job, from, to, shape.width, &result)) return result;
    }
  }
  result.duration_ps = duration_ps(result.hbm_bytes, result.host_bytes);
  return result;
}

bool Dma::fill_row(const DmaJob& job, uint64_t dst, uint64_t bytes, uint64_t pattern,
                   DmaResult* result) {
  while (bytes != 0) {
    if (job.cancel.load(std::memory_order_relaxed)) {
      result->status = NPU_ST_CANCELED;
      return false;
    }
    std::byte* to = nullptr;
    uint64_t piece =
        dst_.get_run(job.space, dst, std::min(bytes, kPieceBytes), NPU_ACCESS_WRITE, &to);
    if (piece != 0) {
      paint(to, piece, pattern);
      dst_.wrote(job.space, to, piece);
      count(to, piece, result);
    } else {
      piece = std::min(bytes, kBounceBytes);
      paint(bounce(), piece, pattern);
      piece = write_by_port(job, dst, piece, bounce(), result);
    }
    if (piece == 0) {
      result->status = NPU_ST_VM_FAULT;
      result->fault_dva = dst;
      result->access = NPU_ACCESS_WRITE;
      return false;
    }
    dst += piece;
    bytes -= piece;
    // The next piece begins in the middle of the 8 bytes when the first one was not a multiple of
    // them.
    pattern = std::rotr(pattern, static_cast<int>(piece % 8) * 8);
  }
  return true;
}

DmaResult Dma::fill(const DmaJob& job, const npu_cmd_fill& command) {
  DmaResult result;
  result.status = NPU_ST_BAD_COMMAND;
  const uint64_t size = command.pattern_bytes;
  const Shape shape{command.width_bytes, command.height, 1};
  const Side dst{command.dst_dva, command.dst_pitch, 0};
  if (size > 8 || !std::has_single_bit(size) || shape.width == 0 || shape.height == 0) {
    return result;
  }
  if (size < 8 && command.pattern >> (size * 8) != 0) return result;
  if (!pitches_fit(dst, shape) || !extent(dst, shape)) return result;
  if ((dst.base | shape.width | dst.pitch) % size != 0) {
    result.status = NPU_ST_UNALIGNED_ACCESS;
    return result;
  }
  if (shape.height + shape.height * shape.width / kBytesPerOperation > job.budget) {
    result.status = NPU_ST_WATCHDOG;
    return result;
  }
  uint64_t pattern = command.pattern;
  for (uint64_t bytes = size; bytes < 8; bytes *= 2) pattern |= pattern << (bytes * 8);
  result.status = NPU_ST_OK;
  for (uint64_t row = 0; row < shape.height; ++row) {
    if (!fill_row(job, dst.base + row * dst.pitch, shape.width, pattern, &result)) return result;
  }
  result.duration_ps = duration_ps(result.hbm_bytes, result.host_bytes);
  return result;
}

}  // namespace npu::model
