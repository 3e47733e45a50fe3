// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes as a firmware blob, and any line id looked up in it.
#include <cstdint>
#include <string>

#include "libnpu/src/core/blob.h"
#include "libnpu/src/core/print.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto image = npu::read_image({reinterpret_cast<const std::byte*>(data), size});
  if (!image.is_ok()) return 0;
  std::string file;
  uint32_t line = 0;
  for (uint32_t id = 0; id <= image.value().lines.size() + 1; id++)
    image.value().place_of(id, &file, &line);
  const __u64 args[NPU_PRINT_ARGS] = {~__u64{0}, 1, 0x7f7fffff, 0x8000000000000000};
  for (uint32_t number = 0; number <= image.value().formats.size() + 1; number++)
    npu::format_record(&image.value(), number, args);
  image.value().find("none");
  return 0;
}
