// SPDX-License-Identifier: Apache-2.0
// One call of a function with random arguments: by the types of its parameters, or, where two parameters belong together, by a caller of its own.
#pragma once

#include <tuple>
#include <utility>

#include "tests/api_fuzz/slots.h"

namespace npu::fuzz {

using Names = const char* const*;

template <auto Function>
struct Caller;

template <typename... Arguments, npuResult (*Function)(Arguments...)>
struct Caller<Function> {
  static npuResult call(Fuzzer& f, Names names) {
    return call(f, names, std::index_sequence_for<Arguments...>{});
  }
  template <size_t... I>
  static npuResult call(Fuzzer& f, Names names, std::index_sequence<I...>) {
    std::tuple<Slot<Arguments>...> slots{Slot<Arguments>(f, names[I])...};
    const npuResult result = Function(std::get<I>(slots).get()...);
    (std::get<I>(slots).check(f, result), ...);
    return result;
  }
};

// Texts: never NULL.
template <typename... Arguments, const char* (*Function)(Arguments...)>
struct Caller<Function> {
  static npuResult call(Fuzzer& f, Names) {
    const char* const text =
        Function(static_cast<Arguments>(f.rng.percent(50) ? f.rng.next() : -f.rng.below(600))...);
    if (text == nullptr) f.fail("returned NULL");
    return NPU_OK;
  }
};

#define NPU_OWN_CALLER(function)             \
  template <>                                \
  struct Caller<function> {                  \
    static npuResult call(Fuzzer& f, Names); \
  }
NPU_OWN_CALLER(npuInit);
NPU_OWN_CALLER(npuShutdown);
NPU_OWN_CALLER(npuModuleLoadData);
NPU_OWN_CALLER(npuModuleCheckData);
NPU_OWN_CALLER(npuKernelPackArgs);
NPU_OWN_CALLER(npuProfRead);
NPU_OWN_CALLER(npuProfGetObjects);
NPU_OWN_CALLER(npuQueueGetFaults);
NPU_OWN_CALLER(npuGraphDump);
NPU_OWN_CALLER(npuWaitMany);
NPU_OWN_CALLER(npuSubmitBatch);
NPU_OWN_CALLER(npuMemCopyTensor);
NPU_OWN_CALLER(npuOpsCheck);
NPU_OWN_CALLER(npuOpsSubmit);
NPU_OWN_CALLER(npuOpsGetCommand);
NPU_OWN_CALLER(npuOpsRopeTable);
NPU_OWN_CALLER(npuOpsTileWeights);
NPU_OWN_CALLER(npuOpsUntileWeights);
NPU_OWN_CALLER(npuMlGetMetrics);
NPU_OWN_CALLER(npuMlGetProcesses);
NPU_OWN_CALLER(npuMlGetPorts);
#undef NPU_OWN_CALLER

// At the end of a round.
void undo_inits();

}  // namespace npu::fuzz
