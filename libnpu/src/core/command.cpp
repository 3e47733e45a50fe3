// SPDX-License-Identifier: Apache-2.0
// Checking and building of commands.
#include "libnpu/src/core/command.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "libnpu/src/core/error.h"

namespace npu {
namespace {

using Ull = unsigned long long;

npu_cmd make_nop() {
  npu_cmd command{};
  command.op = NPU_CMD_NOP;
  return command;
}

// Two neighbouring members of a command, little-endian as all that the device sees.
uint64_t pair_of(uint32_t first, uint32_t second) { return first | uint64_t{second} << 32; }

// Names the first argument that the block has no room for.
Status wrong_args(const KernelImage& image, uint32_t args_bytes) {
  const npu_note_kernel& note = image.note;
  const npu_note_arg* missing = nullptr;
  for (const npu_note_arg& arg : image.args) {
    const bool fits = arg.offset <= args_bytes && arg.size <= args_bytes - arg.offset;
    if (!fits && (missing == nullptr || arg.offset < missing->offset)) missing = &arg;
  }
  if (missing == nullptr) {
    return fail(NPU_ERROR_ARGUMENT_LAYOUT, "args_bytes is %u, kernel '%s' takes %u", args_bytes,
                note.name, note.args_bytes);
  }
  return fail(
      NPU_ERROR_ARGUMENT_LAYOUT,
      "args_bytes is %u, kernel '%s' takes %u: there is no room for argument '%s', %u bytes "
      "at offset %u",
      args_bytes, note.name, note.args_bytes, missing->name, missing->size, missing->offset);
}

}  // namespace

Status copy_extent(const CopyShape& shape, uint64_t pitch, uint64_t slice_pitch, const char* side,
                   uint64_t* out_bytes) {
  if ((shape.height == 1) != (pitch == 0) || (shape.depth == 1) != (slice_pitch == 0)) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s pitches do not fit %u rows and %u slices: a pitch is 0 where there is one, and "
                "not 0 where there are more",
                side, shape.height, shape.depth);
  }
  if (shape.height > 1 && pitch < shape.width_bytes) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "%s rows overlap: pitch %llu, width %llu", side,
                Ull{pitch}, Ull{shape.width_bytes});
  }
  uint64_t slice = 0;
  uint64_t total = 0;
  if (__builtin_mul_overflow(pitch, uint64_t{shape.height} - 1, &slice) ||
      __builtin_add_overflow(slice, shape.width_bytes, &slice)) {
    return fail(NPU_ERROR_OVERFLOW, "the extent of a %s slice overflows", side);
  }
  if (shape.depth > 1 && slice_pitch < slice) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "%s slices overlap: pitch %llu, extent %llu", side,
                Ull{slice_pitch}, Ull{slice});
  }
  if (__builtin_mul_overflow(slice_pitch, uint64_t{shape.depth} - 1, &total) ||
      __builtin_add_overflow(total, slice, &total)) {
    return fail(NPU_ERROR_OVERFLOW, "the extent of the %s overflows", side);
  }
  *out_bytes = total;
  return Status::ok();
}

Status make_launch(const Kernel& kernel, const Grid& grid, const void* args, uint32_t args_bytes,
                   npu_cmd* out) {
  const npu_note_kernel& note = kernel.image().note;
  if (args_bytes != note.args_bytes) [[unlikely]] {
    return wrong_args(kernel.image(), args_bytes);
  }
  if (args == nullptr && args_bytes != 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "args is NULL");
  const uint64_t plane = uint64_t{grid.x} * grid.y;
  if (plane == 0 || grid.z == 0 || plane > kGroupsMax || plane * grid.z > kGroupsMax) {
    return fail(NPU_ERROR_BAD_LAUNCH,
                "a grid of %u x %u x %u is empty or has more than 2^31 work-groups", grid.x, grid.y,
                grid.z);
  }
  using Launch = npu_cmd_launch;
  static_assert(offsetof(Launch, kernel) == offsetof(Launch, module) + 4 &&
                offsetof(Launch, grid_y) == offsetof(Launch, grid_x) + 4 &&
                offsetof(Launch, args_bytes) == offsetof(Launch, grid_z) + 4);
  // In words: Ring::push() reads it in words soon after, and would wait for members that are written one by one.
  std::array<uint64_t, sizeof(npu_cmd) / 8> words{};
  words[0] = NPU_CMD_LAUNCH;
  words[offsetof(Launch, module) / 8] = pair_of(kernel.module().number(), kernel.index());
  words[offsetof(Launch, grid_x) / 8] = pair_of(grid.x, grid.y);
  words[offsetof(Launch, grid_z) / 8] = pair_of(grid.z, args_bytes);
  *out = std::bit_cast<npu_cmd>(words);
  return Status::ok();
}

Result<npu_cmd> make_copy(Context& context, const CopyShape& shape) {
  if (shape.height == 0 || shape.depth == 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "height is %u and depth %u: each is at least 1",
                shape.height, shape.depth);
  }
  if (shape.width_bytes == 0) return make_nop();
  uint64_t dst_bytes = 0;
  uint64_t src_bytes = 0;
  NPU_TRY(copy_extent(shape, shape.dst_pitch, shape.dst_slice_pitch, "dst", &dst_bytes));
  NPU_TRY(copy_extent(shape, shape.src_pitch, shape.src_slice_pitch, "src", &src_bytes));
  NPU_TRY(context.memory().check(shape.dst, dst_bytes, "dst", true));
  NPU_TRY(context.memory().check(shape.src, src_bytes, "src"));
  if (shape.dst < shape.src + src_bytes && shape.src < shape.dst + dst_bytes) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "source and destination overlap");
  }
  npu_cmd_copy copy{};
  copy.op = NPU_CMD_COPY;
  copy.src_dva = shape.src;
  copy.dst_dva = shape.dst;
  copy.width_bytes = shape.width_bytes;
  copy.height = shape.height;
  copy.depth = shape.depth;
  copy.src_pitch = shape.src_pitch;
  copy.dst_pitch = shape.dst_pitch;
  copy.src_slice_pitch = shape.src_slice_pitch;
  copy.dst_slice_pitch = shape.dst_slice_pitch;
  return std::bit_cast<npu_cmd>(copy);
}

Result<npu_cmd> make_fill(Context& context, uint64_t dst, uint64_t pattern, uint32_t pattern_bytes,
                          uint64_t size_bytes) {
  if (pattern_bytes != 1 && pattern_bytes != 2 && pattern_bytes != 4 && pattern_bytes != 8) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "pattern_bytes is %u, it must be 1, 2, 4 or 8",
                pattern_bytes);
  }
  if (((dst | size_bytes) & (pattern_bytes - 1)) != 0) {
    return fail(NPU_ERROR_UNALIGNED,
                "dst 0x%llx or size_bytes %llu is no multiple of pattern_bytes %u", Ull{dst},
                Ull{size_bytes}, pattern_bytes);
  }
  if (size_bytes == 0) return make_nop();
  NPU_TRY(context.memory().check(dst, size_bytes, "dst", true));
  npu_cmd_fill fill{};
  fill.op = NPU_CMD_FILL;
  fill.dst_dva = dst;
  fill.width_bytes = size_bytes;
  fill.pattern = pattern_bytes == 8 ? pattern : pattern & ((uint64_t{1} << pattern_bytes * 8) - 1);
  fill.pattern_bytes = pattern_bytes;
  fill.height = 1;
  return std::bit_cast<npu_cmd>(fill);
}

Result<npu_cmd> make_semaphore(Context& context, npu_cmd_op op, uint64_t dva, uint64_t value) {
  if (dva % 8 != 0)
    return fail(NPU_ERROR_UNALIGNED, "semaphore 0x%llx is no multiple of 8", Ull{dva});
  NPU_TRY(context.check_word(dva, "semaphore", op == NPU_CMD_SEM_SIGNAL));
  npu_cmd_sem command{};
  command.op = static_cast<__u8>(op);
  command.sem_dva = dva;
  command.value = value;
  command.sem_op = op == NPU_CMD_SEM_WAIT ? NPU_SEM_WAIT_GE : NPU_SEM_SET;
  return std::bit_cast<npu_cmd>(command);
}

Result<npu_cmd> make_timestamp(Context& context, uint64_t dst) {
  if (dst % 8 != 0) return fail(NPU_ERROR_UNALIGNED, "dst 0x%llx is no multiple of 8", Ull{dst});
  NPU_TRY(context.memory().check(dst, 8, "dst", true));
  npu_cmd_timestamp command{};
  command.op = NPU_CMD_TIMESTAMP;
  command.dst_dva = dst;
  return std::bit_cast<npu_cmd>(command);
}

}  // namespace npu
