// SPDX-License-Identifier: Apache-2.0
// What the library reads of a firmware blob: kernels, their arguments and the line table (uapi/npu_fw.h). The device alone decides whether a blob is good.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "libnpu/src/core/status.h"
#include "uapi/npu_fw.h"

namespace npu {

// What of a tile the instructions of a kernel name.
struct KernelUse {
  uint32_t registers = 0;    // scalar registers, without register 0
  uint32_t descriptors = 0;  // tile descriptors
  uint32_t semaphores = 0;
  bool prints = false;  // PRINT or CHECK
};

struct KernelImage {
  npu_note_kernel note{};
  std::vector<npu_note_arg> args;
  KernelUse use;
};

struct Image {
  std::vector<KernelImage> kernels;
  std::vector<npu_note_line> lines;
  std::string strings;
  std::vector<std::string> formats;  // all of them are formats (uapi/npu_format.h)

  // Number of the kernel of that name, or -1.
  int32_t find(const char* name) const;
  // Place of line id |id|; false when the blob has no such row.
  bool place_of(uint32_t id, std::string* out_file, uint32_t* out_line) const;
};

KernelUse use_of(std::span<const std::byte> code);

Result<Image> read_image(std::span<const std::byte> blob);

}  // namespace npu
