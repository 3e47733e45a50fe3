// SPDX-License-Identifier: Apache-2.0
// Opening and closing of a Session.
#include "tests/bench/session.h"

#include <cstdio>
#include <cstdlib>

namespace npu::bench {

void check(npuResult result) {
  if (result == NPU_OK) return;
  npuErrorInfo why{};
  why.struct_size = sizeof why;
  npuErrorGetInfo(&why);
  std::fprintf(stderr, "npu_bench: %s: %s %s\n", npuResultGetName(result), why.text, why.remedy);
  std::exit(1);
}

std::string default_road() {
  static const std::string kRoad = [] {
    const char* road = std::getenv("NPU_DEVICE");
    return std::string(road != nullptr && *road != '\0' ? road : "model");
  }();
  return kRoad;
}

std::string model_road(const std::string& kind) {
  const std::string road = default_road();
  const size_t colon = road.find(':');
  const bool is_model = road.rfind("model", 0) == 0 || road.rfind("inproc", 0) == 0;
  return is_model && colon != std::string::npos ? kind + road.substr(colon) : kind;
}

Session::Session(const std::string& road, int spin_us) {
  default_road();  // before the variable changes
  setenv("NPU_DEVICE", road.c_str(), 1);
  if (spin_us >= 0)
    setenv("NPU_WAIT_SPIN_US", std::to_string(spin_us).c_str(), 1);
  else
    unsetenv("NPU_WAIT_SPIN_US");
  check(npuInit());
  check(npuDeviceOpen(nullptr, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, nullptr, &queue));
}

npuKernel load_null_kernel(npuContext context) {
  const char* named = std::getenv("NPU_OPS_BLOB");
  npuModule module = nullptr;
  npuKernel kernel = nullptr;
  check(npuModuleLoad(context, named != nullptr ? named : NPU_BENCH_OPS_BLOB, &module));
  check(npuModuleGetKernel(module, "null", &kernel));
  return kernel;
}

std::vector<float> random_floats(uint32_t seed, size_t count) {
  std::vector<float> out(count);
  for (float& x : out)
    x = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1.0f;
  return out;
}

Session::~Session() { check(npuShutdown()); }

}  // namespace npu::bench
