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

struct KernelImage {
  npu_note_kernel note{};
  std::vector<npu_note_arg> args;
};

struct Image {
  std::vector<KernelImage> kernels;
  std::vector<npu_note_line> lines;
  std::string strings;

  // Number of the kernel of that name, or -1.
  int32_t find(const char* name) const;
  // Place of line id |id|; false when the blob has no such row.
  bool place_of(uint32_t id, std::string* out_file, uint32_t* out_line) const;
};

Result<Image> read_image(std::span<const std::byte> blob);

}  // namespace npu
