// SPDX-License-Identifier: Apache-2.0
// Checks of what is submitted.
#include "libnpu/src/api/submission.h"

#include <algorithm>
#include <string>

#include "libnpu/src/core/command.h"

namespace npu::api {
namespace {

Status take_command(Result<npu_cmd> command, Submission* out) {
  if (!command.is_ok()) return command.status();
  out->command = command.value();
  return Status::ok();
}

Status check_unused(const npuCommand& command, size_t used_words) {
  const uint64_t* words = command.as.words;
  const bool zero = std::all_of(words + used_words, words + std::size(command.as.words),
                                [](uint64_t word) { return word == 0; });
  if (zero) return Status::ok();
  return fail(NPU_ERROR_RESERVED_NOT_ZERO, "members that kind %d does not use are not 0",
              command.kind);
}

template <typename T>
constexpr size_t words_of() {
  return sizeof(T) / sizeof(uint64_t);
}

}  // namespace

Status make_launch(Context& context, const Kernel& kernel, const npuLaunchInfo* info,
                   Submission* out) {
  npuLaunchInfo launch{};
  NPU_TRY(read_struct(info, "info", &launch));
  if (launch.reserved != 0) return fail(NPU_ERROR_RESERVED_NOT_ZERO, "info->reserved is not 0");
  if (&kernel.module().context() != &context) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "kernel '%s' was loaded in another context than the queue's",
                kernel.image().note.name);
  }
  NPU_TRY(npu::make_launch(kernel, {launch.grid_x, launch.grid_y, launch.grid_z}, launch.args,
                           launch.args_bytes, &out->command));
  out->args = launch.args;
  out->args_bytes = launch.args_bytes;
  out->kernel = &kernel;
  out->prints = kernel.image().use.prints;
  return Status::ok();
}

Status make_copy(Context& context, npuDevPtr dst, npuDevPtr src, uint64_t size_bytes,
                 Submission* out) {
  CopyShape shape;
  shape.dst = dst;
  shape.src = src;
  shape.width_bytes = size_bytes;
  return take_command(npu::make_copy(context, shape), out);
}

Status make_copy(Context& context, const npuCopyInfo* info, Submission* out) {
  npuCopyInfo copy{};
  NPU_TRY(read_struct(info, "info", &copy));
  if (copy.reserved != 0) return fail(NPU_ERROR_RESERVED_NOT_ZERO, "info->reserved is not 0");
  const CopyShape shape{.dst = copy.dst,
                        .src = copy.src,
                        .width_bytes = copy.width_bytes,
                        .height = copy.height,
                        .depth = copy.depth,
                        .dst_pitch = copy.dst_pitch_bytes,
                        .src_pitch = copy.src_pitch_bytes,
                        .dst_slice_pitch = copy.dst_slice_pitch_bytes,
                        .src_slice_pitch = copy.src_slice_pitch_bytes};
  return take_command(npu::make_copy(context, shape), out);
}

Status make_fill(Context& context, npuDevPtr dst, uint64_t pattern, uint32_t pattern_bytes,
                 uint64_t size_bytes, Submission* out) {
  return take_command(npu::make_fill(context, dst, pattern, pattern_bytes, size_bytes), out);
}

Status make_signal(Context& context, npuDevPtr semaphore, uint64_t value, Submission* out) {
  return take_command(make_semaphore(context, NPU_CMD_SEM_SIGNAL, semaphore, value), out);
}

Status make_wait(Context& context, npuDevPtr semaphore, uint64_t value, Submission* out) {
  return take_command(make_semaphore(context, NPU_CMD_SEM_WAIT, semaphore, value), out);
}

Status Batch::read_one(Context& context, const npuCommand& command) {
  Submission& out = submissions_.emplace_back();
  const auto& as = command.as;
  switch (command.kind) {
    case NPU_COMMAND_LAUNCH: {
      NPU_TRY(check_unused(command, words_of<decltype(as.launch)>()));
      if (kernels_.empty() || kernels_.back()->handle() != number_of(as.launch.kernel)) {
        Pin<Kernel> pin;
        NPU_TRY(take(pin, as.launch.kernel, "kernel"));
        kernels_.push_back(pin.ref());
      }
      return make_launch(context, *kernels_.back(), as.launch.info, &out);
    }
    case NPU_COMMAND_COPY:
      NPU_TRY(check_unused(command, words_of<decltype(as.copy)>()));
      return make_copy(context, as.copy.dst, as.copy.src, as.copy.size_bytes, &out);
    case NPU_COMMAND_COPY_STRIDED:
      NPU_TRY(check_unused(command, words_of<decltype(as.copy_strided)>()));
      return make_copy(context, as.copy_strided.info, &out);
    case NPU_COMMAND_FILL:
      NPU_TRY(check_unused(command, words_of<decltype(as.fill)>()));
      if (as.fill.reserved != 0) return fail(NPU_ERROR_RESERVED_NOT_ZERO, "reserved is not 0");
      return make_fill(context, as.fill.dst, as.fill.pattern, as.fill.pattern_bytes,
                       as.fill.size_bytes, &out);
    case NPU_COMMAND_SIGNAL:
      NPU_TRY(check_unused(command, words_of<decltype(as.semaphore)>()));
      return make_signal(context, as.semaphore.address, as.semaphore.value, &out);
    case NPU_COMMAND_WAIT_SEMAPHORE:
      NPU_TRY(check_unused(command, words_of<decltype(as.semaphore)>()));
      return make_wait(context, as.semaphore.address, as.semaphore.value, &out);
    case NPU_COMMAND_TIMESTAMP:
      NPU_TRY(check_unused(command, words_of<decltype(as.timestamp)>()));
      return take_command(make_timestamp(context, as.timestamp.dst), &out);
    default:
      return fail(NPU_ERROR_INVALID_ARGUMENT, "kind is %d, it must be one of NPU_COMMAND_...",
                  command.kind);
  }
}

Status Batch::read(Context& context, const npuCommand* command) {
  npuCommand known{};
  NPU_TRY(read_struct(command, "command", &known));
  return read_one(context, known);
}

Status Batch::read_element(Context& context, const unsigned char* bytes, uint32_t stride) {
  npuCommand command;
  if (stride == sizeof command) [[likely]] {
    std::memcpy(&command, bytes, sizeof command);
    return read_one(context, command);
  }
  command = {};
  const size_t known_bytes = std::min<size_t>(stride, sizeof command);
  std::memcpy(&command, bytes, known_bytes);
  const bool known = std::all_of(bytes + known_bytes, bytes + stride,
                                 [](unsigned char byte) { return byte == 0; });
  if (known) return read_one(context, command);
  return fail(NPU_ERROR_STRUCT_SIZE, "it is larger (%u bytes) than this library knows (%zu)",
              stride, sizeof command);
}

Status Batch::read(Context& context, uint32_t count, const npuCommand* commands) {
  NPU_TRY(need(commands, "commands"));
  if (count == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "count is 0");
  const uint32_t stride = commands->struct_size;
  NPU_TRY(check_size<npuCommand>(stride, "commands"));
  const auto* bytes = reinterpret_cast<const unsigned char*>(commands);
  submissions_.reserve(count);
  for (uint32_t i = 0; i < count; i++, bytes += stride) {
    const Status status = read_element(context, bytes, stride);
    if (status.is_ok()) [[likely]]
      continue;
    const std::string why = pending_text();
    return fail(status.code(), "commands[%u]: %s", i, why.c_str());
  }
  return Status::ok();
}

}  // namespace npu::api
