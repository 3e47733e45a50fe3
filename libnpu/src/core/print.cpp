// SPDX-License-Identifier: Apache-2.0
// Conversions of a format, one at a time: the blob decides what is printed, never what is read.
#include "libnpu/src/core/print.h"

#include <bit>
#include <charconv>
#include <cstdio>

#include "libnpu/src/core/log.h"
#include "uapi/npu_format.h"

namespace npu {
namespace {

// The longest is %99.99f of the largest fp32: 39 digits, a point, 99 digits.
constexpr size_t kConversionMaxBytes = 160;

// |spec| is a conversion that npu_format_next() has let pass, "%-5.3d"; its length modifier is ours.
std::string convert(const std::string& spec, char kind, uint64_t word) {
  char text[kConversionMaxBytes];
  const std::string head = spec.substr(0, spec.size() - 1);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  switch (kind) {
    case 'd':
    case 'i':
      std::snprintf(text, sizeof text, (head + "lld").c_str(), static_cast<long long>(word));
      break;
    case 'f':
    case 'e':
    case 'g':
      std::snprintf(text, sizeof text, spec.c_str(),
                    double{std::bit_cast<float>(static_cast<uint32_t>(word))});
      break;
    default: {
      const std::string whole = kind == 'p' ? "0x" + head + "llx" : head + "ll" + kind;
      std::snprintf(text, sizeof text, whole.c_str(), static_cast<unsigned long long>(word));
    }
  }
#pragma GCC diagnostic pop
  return text;
}

bool has_format(const Image* image, uint32_t number) {
  return image != nullptr && number != 0 && number <= image->formats.size();
}

}  // namespace

std::string format_record(const Image* image, uint32_t number, const __u64* args) {
  if (!has_format(image, number)) return format_text(image, number);
  const std::string& format = image->formats[number - 1];
  std::string text;
  npu_conversion next{};
  uint32_t at = 0;
  for (uint32_t arg = 0; npu_format_next(format.c_str(), at, &next) == 1; at = next.end) {
    text.append(format, at, next.begin - at);
    if (next.kind == '%') {
      text += '%';
    } else if (arg < NPU_PRINT_ARGS) {
      text += convert(format.substr(next.begin, next.end - next.begin), next.kind, args[arg++]);
    }
  }
  return text + format.substr(at);
}

std::string with_places(const Image* image, const std::string& text) {
  std::string out;
  size_t done = 0;
  for (size_t at = text.find('@'); at != std::string::npos; at = text.find('@', at + 1)) {
    uint32_t pc = 0;
    uint32_t id = 0;
    const char* const end = text.data() + text.size();
    const auto number = std::from_chars(text.data() + at + 1, end, pc);
    if (number.ec != std::errc() || number.ptr == end || *number.ptr != '/') continue;
    const auto line = std::from_chars(number.ptr + 1, end, id);
    if (line.ec != std::errc()) continue;
    out.append(text, done, at - done);
    done = static_cast<size_t>(line.ptr - text.data());
    std::string file;
    uint32_t source_line = 0;
    const bool known = image != nullptr && image->place_of(id, &file, &source_line);
    out += known ? "(" + file.substr(file.rfind('/') + 1) + ":" + std::to_string(source_line) + ")"
                 : "(instruction " + std::to_string(pc) + ")";
  }
  return out + text.substr(done);
}

std::string format_text(const Image* image, uint32_t number) {
  if (has_format(image, number)) return image->formats[number - 1];
  return "format " + std::to_string(number) + " of a module that is not known";
}

void deliver(const PrintSink& sink, uint64_t queue_handle, const Printed& printed) {
  const Image* image = printed.image.get();
  const npu_print_record& record = printed.record;
  const std::string text = format_record(image, record.format, record.args);
  std::string file;
  uint32_t line = 0;
  if (image != nullptr) image->place_of(record.line, &file, &line);
  const bool known = image != nullptr && record.kernel < image->kernels.size();
  npuPrintMessage message{};
  message.struct_size = sizeof message;
  message.flags = record.flags & NPU_PRINT_ASSERT ? NPU_PRINT_IS_ASSERT : 0;
  message.queue = reinterpret_cast<npuQueue>(static_cast<uintptr_t>(queue_handle));
  message.value = printed.value;
  message.group = record.group;
  message.tile = record.tile;
  message.source_line = line;
  message.source_file = file.c_str();
  message.kernel = known ? image->kernels[record.kernel].note.name : "";
  message.text = text.c_str();
  message.dropped = printed.dropped;
  if (sink.function != nullptr) return sink.function(&message, sink.user_data);
  log_message(LogLevel::kInfo, "kernel '%s', work-group %u: %s", message.kernel, record.group,
              message.text);
  if (printed.dropped != 0) {
    log_message(LogLevel::kWarn, "%llu messages of kernels were lost: their buffer was full",
                static_cast<unsigned long long>(printed.dropped));
  }
}

}  // namespace npu
