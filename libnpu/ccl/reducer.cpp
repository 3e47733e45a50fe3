// SPDX-License-Identifier: Apache-2.0
// Loading the blob, and the argument blocks of its programs.
#include "libnpu/ccl/reducer.h"

#include <algorithm>
#include <bit>
#include <string>

#include "libnpu/common/blob_path.h"

namespace npu::ccl {
namespace {

constexpr uint32_t kBlockElements = 8192;      // of a work-group, as in the programs
constexpr uint64_t kElementsMax = 1ull << 30;  // of a launch
constexpr const char* kFolds[kFoldCount] = {"sum", "prod", "min", "max"};

struct Arguments {
  uint64_t to[kOperandsMax];
  uint64_t from[kOperandsMax];
  uint32_t count;
  uint32_t operands;
  uint32_t wide;
  uint32_t to_is_wide;
  uint32_t scales;
  uint32_t targets;
  uint32_t scale;  // bits of an fp32 number; of int32 a divisor
};
static_assert(sizeof(Arguments) <= kLaunchArgsMax);

}  // namespace

Reducer::~Reducer() {
  if (module_ != nullptr) npuModuleUnload(module_);
}

npuResult Reducer::load(npuContext context) {
  const std::string path = common::blob_path("NPU_CCL_BLOB", "npu_ccl.nfw");
  if (path.empty()) {
    return fail(NPU_ERROR_FILE,
                "npu_ccl.nfw was not found beside the library; set NPU_CCL_BLOB to its path");
  }
  NPU_CCL_TRY(passed_on(npuModuleLoad(context, path.c_str(), &module_)));
  for (uint32_t fold = 0; fold < kFoldCount; fold++) {
    for (uint32_t type = 0; type < std::size(kDataTypes); type++) {
      if (kDataTypes[type].program == nullptr) continue;
      const std::string name =
          std::string("reduce_") + kFolds[fold] + "_" + kDataTypes[type].program;
      npuKernel& kernel = kernels_[fold][type];
      NPU_CCL_TRY(passed_on(npuModuleGetKernel(module_, name.c_str(), &kernel)));
      npuKernelInfo info{};
      info.struct_size = sizeof(info);
      NPU_CCL_TRY(passed_on(npuKernelGetInfo(kernel, &info)));
      if (info.args_bytes != sizeof(Arguments)) {
        return fail(NPU_ERROR_ARGUMENT_LAYOUT,
                    "program '%s' of the blob takes %u bytes of arguments, this library gives %zu",
                    name.c_str(), info.args_bytes, sizeof(Arguments));
      }
    }
  }
  return NPU_OK;
}

void Reducer::add(Lanes& lanes, uint32_t lane, const Reduction& reduction,
                  std::span<const Operand> targets, std::span<const Operand> operands,
                  uint64_t count) const {
  const bool is_wide = targets[0].is_wide;
  const uint64_t narrow = bytes_of(reduction.type);
  const auto place = [&](const Operand& operand, uint64_t element) {
    return operand.at + element * (operand.is_wide ? sizeof(float) : narrow);
  };
  for (uint64_t done = 0; done < count; done += kElementsMax) {
    const uint64_t part = std::min(count - done, kElementsMax);
    Arguments args{};
    for (size_t i = 0; i < targets.size(); i++) args.to[i] = place(targets[i], done);
    args.count = static_cast<uint32_t>(part);
    args.operands = static_cast<uint32_t>(operands.size());
    args.targets = static_cast<uint32_t>(targets.size());
    args.to_is_wide = is_wide;
    args.scales = reduction.scales && !is_wide;
    args.scale =
        reduction.type == NPU_INT32 ? reduction.divisor : std::bit_cast<uint32_t>(reduction.factor);
    for (size_t i = 0; i < operands.size(); i++) {
      args.from[i] = place(operands[i], done);
      if (operands[i].is_wide) args.wide |= 1u << i;
    }
    lanes.launch(lane, kernels_[static_cast<uint32_t>(reduction.fold)][reduction.type],
                 static_cast<uint32_t>((part + kBlockElements - 1) / kBlockElements),
                 std::as_bytes(std::span(&args, 1)));
  }
}

}  // namespace npu::ccl
