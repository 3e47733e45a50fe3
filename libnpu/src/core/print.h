// SPDX-License-Identifier: Apache-2.0
// What kernels print: a record becomes text, and goes to the function of the context, or to the log.
// Thread safety: format_record is pure; PrintSink is a value.
#pragma once

#include <npu/npu_print.h>

#include <cstdint>
#include <memory>
#include <string>

#include "libnpu/src/core/blob.h"
#include "uapi/npu_queue.h"

namespace npu {

struct PrintSink {
  npuPrintFunction function = nullptr;  // null: the log
  void* user_data = nullptr;
};

// A record that was taken out of its buffer, and the blob that it speaks of. image: null when it is not known any more.
struct Printed {
  npu_print_record record{};
  uint64_t value = 0;
  uint64_t dropped = 0;  // lost right behind it
  std::shared_ptr<const Image> image;
};

// The text of format |number| with these arguments (NPU_FORMAT_MAX_ARGS). A number that the blob does not have gives a text that says so.
std::string format_record(const Image* image, uint32_t number, const __u64* args);
// The format as it stands in the blob, for an assertion whose arguments were lost.
std::string format_text(const Image* image, uint32_t number);

// A report with a file, without its folder, and a line in the place of each "@PC/LINE", as far as the blob has a line table.
std::string with_places(const Image* image, const std::string& text);

void deliver(const PrintSink& sink, uint64_t queue_handle, const Printed& printed);

}  // namespace npu
