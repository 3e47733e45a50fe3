// SPDX-License-Identifier: Apache-2.0
// Step 7: a kernel that prints, one that checks, one that faults; and what the host learns of each.
#include "../host.h"

namespace {

constexpr uint32_t kBlock = 256, kGroups = 3;
constexpr uint32_t kCheckLine = 17, kLoadLine = 23;  // of block_sum.cpp

struct Args {
  npuDevPtr x, sums;
  uint32_t n, pad;
};

// Called while the host waits, once for each message.
void keep(const npuPrintMessage *message, void *user_data) {
  std::printf("  %s\n", message->text);
  static_cast<std::vector<std::string> *>(user_data)->push_back(message->text);
}

// Launches, and gives the fault; the queue is as new afterwards.
npuFault fault_of(Npu &npu, const npu::Kernel &kernel, const Args &args) {
  npuFault fault{};
  fault.struct_size = sizeof fault;
  uint32_t count = 1;
  const uint64_t value = npu.queue.launch(kernel, {.x = kGroups}, args);
  if (npuQueueWait(npu.queue.get(), value, NPU_TIMEOUT_INFINITE) == NPU_OK) return fault;
  npu::check(npuQueueGetFaults(npu.queue.get(), &count, &fault));
  npu::check(npuQueueReset(npu.queue.get(), NPU_TIMEOUT_INFINITE));
  std::printf("  %s in %s:%u\n", npuResultGetName(fault.code), fault.source_file,
              fault.source_line);
  return fault;
}

bool debug(const char *blob) {
  std::vector<std::string> said;
  Npu npu;
  npu::check(npuContextSetPrint(npu.context.get(), keep, &said));
  npu::Module module(npu.context, blob);
  const npu::Kernel kernel = module.kernel("block_sum");
  const std::vector<float> x(kBlock * kGroups, 0.25f);
  npu::Memory<float> dev_x(npu.context, x), dev_sums(npu.context, kGroups);
  const Args good{dev_x.get(), dev_sums.get(), kBlock * kGroups, 0};

  std::puts("a good launch:");
  npu.run(kernel, {.x = kGroups}, good);
  if (dev_sums.read() != std::vector<float>(kGroups, 64.0f) || said.size() != kGroups ||
      said[2] != "work-group 2: sum 64.00") {
    return false;
  }
  std::puts("a length that is too small:");
  Args bad = good;
  bad.n = kBlock * kGroups - 1;
  npuFault fault = fault_of(npu, kernel, bad);
  if (fault.code != NPU_ERROR_KERNEL_ASSERT || fault.source_line != kCheckLine ||
      fault.message != std::string("work-group 2 ends at 768, but n = 767")) {
    return false;
  }
  std::puts("an address that is none:");
  bad = good;
  bad.x = 0x7000000000;
  fault = fault_of(npu, kernel, bad);
  return fault.code == NPU_ERROR_VM_FAULT && fault.source_line == kLoadLine &&
         fault.source_file == std::string("07_debugging/block_sum.cpp") && fault.address == bad.x;
}

}  // namespace

int main(int argc, char **argv) {
  return run_sample([&] { return debug(argc > 1 ? argv[1] : KERNEL_BLOB); });
}
