// SPDX-License-Identifier: Apache-2.0
// The device's own reader of the ELF part of a blob (uapi/npu_fw.h): strict, for bytes that may
// come from anybody.
//
// Thread safety: pure function.
#ifndef NPU_MODEL_DEVICE_ELF_READER_H_
#define NPU_MODEL_DEVICE_ELF_READER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "uapi/npu_fw.h"
#include "uapi/npu_isa.h"
#include "uapi/npu_status.h"

namespace npu::model {

struct ElfSegment {
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};

struct ElfImage {
  std::vector<ElfSegment> segments;  // one a program header, in order
  std::span<const std::byte> code;
  std::vector<npu_note_kernel> kernels;
  std::vector<npu_note_line> lines;
  std::string strings;
  std::vector<uint8_t> format_args;  // arguments that format n - 1 takes
  std::array<uint8_t, 16> build_id{};
  uint32_t isa_minor = 0;
  std::optional<npu_note_firmware> firmware;
};

// Fills |out|, whose code points into |elf|. NPU_ST_BLOB_FORMAT, or NPU_ST_BLOB_ISA.
npu_status read_elf(std::span<const std::byte> elf, ElfImage* out);

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_ELF_READER_H_
