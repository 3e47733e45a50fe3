// SPDX-License-Identifier: Apache-2.0
// Callers of functions whose parameters belong together: an array and its count, a buffer and its size.
#include "tests/api_fuzz/callers.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <vector>

namespace npu::fuzz {
namespace {

template <typename T>
T handle(Fuzzer& f) {
  return reinterpret_cast<T>(f.handle(kKindOf<T>));
}

uint64_t* out_value(Fuzzer& f) {
  return f.rng.percent(20) ? nullptr : static_cast<uint64_t*>(f.scratch(8));
}

// A list as npu_types.h describes it: count and array, |function| fills them. The array has |room| elements and is as long as a caller says.
template <typename T, typename Function>
npuResult call_list(Fuzzer& f, uint32_t room, Function&& function) {
  T* array = f.rng.percent(30) ? nullptr : static_cast<T*>(f.scratch(room * sizeof(T)));
  uint32_t count = static_cast<uint32_t>(f.rng.below(room + 1));
  if (array == nullptr && f.rng.percent(50)) count = 0xffffffff;
  if (array != nullptr) {
    std::memset(array, 0xa5, room * sizeof(T));
    if constexpr (Sized<T>) array->struct_size = struct_size(f, sizeof(T));
    // An element that is larger than the struct takes room that the array does not have.
    if constexpr (Sized<T>) {
      if (array->struct_size > sizeof(T) && array->struct_size <= 4096)
        array->struct_size = sizeof(T) - 1;
    }
  }
  const uint32_t given = count;
  const npuResult result = function(!f.valid_only && f.rng.percent(5) ? nullptr : &count, array);
  if (array != nullptr && given < room) {
    const auto* const behind = reinterpret_cast<const unsigned char*>(array + given);
    const auto* const first = given == 0 ? behind + 4 : behind;
    if (std::any_of(first, behind + sizeof(T), [](unsigned char byte) { return byte != 0xa5; })) {
      f.fail("wrote behind the %u elements of a list", given);
    }
  }
  return result;
}

const std::vector<unsigned char>& blob() {
  static const std::vector<unsigned char> bytes = [] {
    std::ifstream file(blob_path(), std::ios::binary);
    return std::vector<unsigned char>{std::istreambuf_iterator<char>(file), {}};
  }();
  return bytes;
}

// A blob as a caller has one: whole, cut, changed, or something else.
struct Blob {
  explicit Blob(Fuzzer& f) : bytes(blob()), data(bytes.data()), size(bytes.size()) {
    switch (f.valid_only ? 0 : f.rng.below(6)) {
      case 0:
        break;
      case 1:
        data = nullptr;
        size = f.size();
        break;
      case 2:
        size = f.rng.below(size);
        break;
      case 3:
        data = f.arena();
        size = f.rng.of<uint64_t>({0, 1, 64, 4096, kSmallBytes, kArenaBytes});
        break;
      default:
        for (uint64_t i = 0; i <= f.rng.below(8); i++) {
          bytes[f.rng.below(bytes.size())] ^= static_cast<unsigned char>(1u << f.rng.below(8));
        }
        break;
    }
  }
  std::vector<unsigned char> bytes;
  const void* data;
  uint64_t size;
};

// What Caller<npuInit> did and nobody has undone.
std::atomic<int> g_inits{0};

}  // namespace

void undo_inits() {
  while (g_inits > 0) {
    g_inits--;
    npuShutdown();
  }
}

npuResult Caller<npuInit>::call(Fuzzer&, Names) {
  const npuResult result = npuInit();
  if (result == NPU_OK) g_inits++;
  return result;
}

// Undoes only what was done here: the last one, with the objects of all threads, is the end of a round.
npuResult Caller<npuShutdown>::call(Fuzzer&, Names) {
  for (int count = g_inits; count > 0;) {
    if (g_inits.compare_exchange_weak(count, count - 1)) return npuShutdown();
  }
  return NPU_OK;
}

npuResult Caller<npuModuleLoadData>::call(Fuzzer& f, Names names) {
  const auto context = handle<npuContext>(f);
  Slot<npuModule*> out(f, names[3]);
  const Blob blob(f);
  const npuResult result = npuModuleLoadData(context, blob.data, blob.size, out.get());
  out.check(f, result);
  return result;
}

npuResult Caller<npuModuleCheckData>::call(Fuzzer& f, Names) {
  const auto device = handle<npuDevice>(f);
  const Blob blob(f);
  return npuModuleCheckData(device, blob.data, blob.size);
}

// What belongs to a kernel, or to none.
npuResult Caller<npuKernelPackArgs>::call(Fuzzer& f, Names) {
  const auto kernel = handle<npuKernel>(f);
  npuKernelInfo info{};
  info.struct_size = sizeof info;
  if (f.kernel != 0) npuKernelGetInfo(kernel, &info);
  auto* values = static_cast<npuArgValue*>(f.scratch(kArrayMax * sizeof(npuArgValue)));
  for (uint32_t i = 0; i < kArrayMax; i++) {
    npuArgInfo arg{};
    arg.struct_size = sizeof arg;
    values[i] = {};
    values[i].kind =
        i < info.arg_count && npuKernelGetArg(kernel, i, &arg) == NPU_OK ? arg.kind : 5;
    if (!f.valid_only && f.rng.percent(5)) values[i].kind = static_cast<uint32_t>(f.rng.next());
    if (!f.valid_only && f.rng.percent(2)) values[i].reserved = 1;
    values[i].as.u64 = values[i].kind >= 4 ? f.rng.next() : static_cast<uint32_t>(f.rng.next());
  }
  uint32_t count = info.arg_count;
  uint32_t block_bytes = info.args_bytes;
  if (!f.valid_only && f.rng.percent(15)) count = static_cast<uint32_t>(f.rng.below(kArrayMax + 1));
  if (!f.valid_only && f.rng.percent(15)) block_bytes = f.rng.of<uint32_t>({0, 1, 8, 64, 4096});
  if (!f.valid_only && f.rng.percent(4)) {
    values = nullptr;
    count = f.rng.of<uint32_t>({1, 0xffffffff});
  }
  return npuKernelPackArgs(kernel, count, values, f.host(), block_bytes);
}

npuResult Caller<npuQueueGetFaults>::call(Fuzzer& f, Names) {
  const auto queue = handle<npuQueue>(f);
  return call_list<npuFault>(f, kArrayMax, [&](uint32_t* count, npuFault* array) {
    return npuQueueGetFaults(queue, count, array);
  });
}

npuResult Caller<npuProfRead>::call(Fuzzer& f, Names) {
  return call_list<npuProfActivity>(f, kArrayMax, [&](uint32_t* count, npuProfActivity* array) {
    return npuProfRead(count, array, out_value(f));
  });
}

npuResult Caller<npuProfGetObjects>::call(Fuzzer& f, Names) {
  return call_list<npuProfObject>(f, kArrayMax, [&](uint32_t* count, npuProfObject* array) {
    return npuProfGetObjects(count, array);
  });
}

npuResult Caller<npuMlGetMetrics>::call(Fuzzer& f, Names) {
  const auto device = handle<npuMlDevice>(f);
  return call_list<npuMlMetric>(f, 300, [&](uint32_t* count, npuMlMetric* array) {
    return npuMlGetMetrics(device, count, array);
  });
}

npuResult Caller<npuMlGetProcesses>::call(Fuzzer& f, Names) {
  const auto device = handle<npuMlDevice>(f);
  return call_list<npuMlProcess>(f, kArrayMax, [&](uint32_t* count, npuMlProcess* array) {
    return npuMlGetProcesses(device, count, array);
  });
}

npuResult Caller<npuMlGetPorts>::call(Fuzzer& f, Names) {
  const auto device = handle<npuMlDevice>(f);
  return call_list<npuMlPort>(f, kArrayMax, [&](uint32_t* count, npuMlPort* array) {
    return npuMlGetPorts(device, count, array);
  });
}

npuResult Caller<npuGraphDump>::call(Fuzzer& f, Names) {
  const auto graph = handle<npuGraph>(f);
  const npuGraphFormat format = f.valid_only ? static_cast<int32_t>(f.rng.below(2))
                                             : static_cast<int32_t>(f.rng.below(4)) - 1;
  const uint64_t room = f.rng.of<uint64_t>({0, 1, 64, 4096, 16384});
  auto* const text = static_cast<unsigned char*>(f.scratch(16384 + 16));
  text[room] = 0xa5;
  uint64_t bytes = room;
  const bool ask = f.rng.percent(30);
  if (ask && f.rng.percent(50)) bytes = ~0ull;
  const npuResult result =
      npuGraphDump(graph, format, !f.valid_only && f.rng.percent(5) ? nullptr : &bytes,
                   ask ? nullptr : reinterpret_cast<char*>(text));
  if (text[room] != 0xa5) f.fail("wrote behind the text");
  return result;
}

npuResult Caller<npuWaitMany>::call(Fuzzer& f, Names names) {
  auto* items = static_cast<npuWaitItem*>(f.scratch(kArrayMax * sizeof(npuWaitItem)));
  uint32_t count = f.rng.of<uint32_t>({1, 2, 3, kArrayMax});
  if (!f.valid_only && f.rng.percent(4)) count = 0;
  const int64_t timeout = f.timeout();
  for (uint32_t i = 0; i < kArrayMax; i++) {
    items[i].queue = f.endless ? reinterpret_cast<npuQueue>(f.rng.next() | uint64_t{1} << 63)
                               : handle<npuQueue>(f);
    items[i].value = f.value();
  }
  if (!f.valid_only && f.rng.percent(4)) {
    items = nullptr;
    count = f.rng.of<uint32_t>({1, 0xffffffff});
  }
  Slot<uint32_t*> out(f, names[4]);
  const npuResult result =
      npuWaitMany(count, items, static_cast<npuWaitMode>(f.rng.below(f.valid_only ? 2 : 3)),
                  timeout, out.get());
  return result;
}

npuResult Caller<npuSubmitBatch>::call(Fuzzer& f, Names) {
  const auto queue = handle<npuQueue>(f);
  constexpr uint32_t kMost = 6;
  auto* commands = static_cast<npuCommand*>(f.scratch((kMost + 1) * 4096));
  std::memset(commands, 0, (kMost + 1) * 4096);
  uint32_t count = 1 + static_cast<uint32_t>(f.rng.below(kMost));
  for (uint32_t i = 0; i < count; i++) {
    fill(f, commands[i]);
    commands[i].struct_size = f.rng.percent(50) ? sizeof(npuCommand) : 0;
  }
  // Of another size than ours is only a batch of one: in longer ones this program would not know what it says.
  commands[0].struct_size = struct_size(f, sizeof(npuCommand));
  if (commands[0].struct_size != sizeof(npuCommand)) count = 1;
  if (!f.valid_only && f.rng.percent(4)) count = 0;
  if (!f.valid_only && f.rng.percent(4)) {
    commands = nullptr;
    count = 0xffffffff;
  }
  return npuSubmitBatch(queue, count, commands, out_value(f));
}

npuResult Caller<npuMemCopyTensor>::call(Fuzzer& f, Names) {
  npuShardedTensor* const dst = make_struct<npuShardedTensor>(f);
  npuShardedTensor* const src = make_struct<npuShardedTensor>(f);
  if (dst != nullptr && src != nullptr && (f.valid_only || f.rng.percent(70))) {
    auto* const shards = const_cast<npuShard*>(src->shards);
    *src = *dst;
    src->shards = shards;
    // Not where the destination is.
    for (uint32_t i = 0; i < kArrayMax; i++) {
      if (shards[i].host != nullptr) shards[i].host = f.arena() + kArenaBytes / 2 + (i << 16);
    }
  }
  return npuMemCopyTensor(dst, src);
}

// A kind of operator and its struct, or one that belongs to another kind: every struct has room for the largest one behind it.
struct OpsInfo {
  npuOpsKind kind;
  const void* info;
};

template <npuOpsKind first, npuOpsKind end, typename... Infos>
OpsInfo info_of(Fuzzer& f) {
  using Maker = const void* (*)(Fuzzer&);
  static constexpr Maker kMakers[] = {
      [](Fuzzer& fuzzer) -> const void* { return make_struct<Infos>(fuzzer); }...};
  static_assert(sizeof...(Infos) == end - first);
  const uint64_t i = f.rng.below(sizeof...(Infos));
  return {first + static_cast<int32_t>(i), kMakers[i](f)};
}

OpsInfo matrix_info(Fuzzer& f) {
  const auto kind = static_cast<npuOpsKind>(f.rng.below(14));
  switch (kind) {
    case NPU_OPS_GEMM:
      return {kind, make_struct<npuOpsGemmInfo>(f)};
    case NPU_OPS_GEMM_PACK_B:
      return {kind, make_struct<npuOpsGemmPackInfo>(f)};
    case NPU_OPS_ATTENTION:
      return {kind, make_struct<npuOpsAttentionInfo>(f)};
    case NPU_OPS_SOFTMAX:
      return {kind, make_struct<npuOpsSoftmaxInfo>(f)};
    case NPU_OPS_RMS_NORM:
    case NPU_OPS_LAYER_NORM:
      return {kind, make_struct<npuOpsNormInfo>(f)};
    case NPU_OPS_ROPE:
      return {kind, make_struct<npuOpsRopeInfo>(f)};
    case NPU_OPS_GATHER:
    case NPU_OPS_SCATTER_ROWS:
      return {kind, make_struct<npuOpsRowsInfo>(f)};
    case NPU_OPS_ARGMAX:
      return {kind, make_struct<npuOpsArgmaxInfo>(f)};
    default:
      return {kind, make_struct<npuOpsElementwiseInfo>(f)};
  }
}

OpsInfo tensor_info(Fuzzer& f) {
  return info_of<NPU_OPS_TENSOR_MAP, NPU_OPS_TENSOR_KIND_END, npuOpsMapInfo, npuOpsCombineInfo,
                 npuOpsGateInfo, npuOpsReduceInfo, npuOpsSortInfo, npuOpsTensorNormInfo,
                 npuOpsTensorSoftmaxInfo, npuOpsTensorRopeInfo, npuOpsTensorGatherInfo,
                 npuOpsTensorScatterInfo, npuOpsMatmulInfo, npuOpsTensorAttentionInfo,
                 npuOpsProductsInfo>(f);
}

OpsInfo train_info(Fuzzer& f) {
  return info_of<NPU_OPS_COLUMN_SUM, NPU_OPS_TRAIN_KIND_END, npuOpsColumnSumInfo,
                 npuOpsCrossEntropyInfo, npuOpsSoftmaxBackwardInfo, npuOpsNormBackwardInfo,
                 npuOpsNormBackwardInfo, npuOpsUnaryBackwardInfo, npuOpsSiluMulBackwardInfo,
                 npuOpsGatherBackwardInfo, npuOpsAdamWInfo, npuOpsAttentionBackwardInfo,
                 npuOpsDropoutInfo, npuOpsSumSquaresInfo>(f);
}

OpsInfo ops_info(Fuzzer& f) {
  const uint64_t which = f.rng.below(3);
  OpsInfo made = which == 0 ? matrix_info(f) : which == 1 ? tensor_info(f) : train_info(f);
  if (!f.valid_only && f.rng.percent(10)) {
    made.kind =
        f.rng.of<int32_t>({-1, 14, NPU_OPS_TENSOR_KIND_END, NPU_OPS_TRAIN_KIND_END, INT32_MAX,
                           static_cast<int32_t>(f.rng.below(NPU_OPS_TRAIN_KIND_END))});
  }
  return made;
}

npuResult Caller<npuOpsCheck>::call(Fuzzer& f, Names) {
  const OpsInfo made = ops_info(f);
  return npuOpsCheck(made.kind, made.info);
}

npuResult Caller<npuOpsSubmit>::call(Fuzzer& f, Names) {
  const OpsInfo made = ops_info(f);
  return npuOpsSubmit(handle<npuOps>(f), handle<npuQueue>(f), made.kind, made.info, out_value(f));
}

npuResult Caller<npuOpsGetCommand>::call(Fuzzer& f, Names names) {
  const OpsInfo made = ops_info(f);
  Slot<npuOpsCommand*> command(f, names[3]);
  const npuResult result = npuOpsGetCommand(handle<npuOps>(f), made.kind, made.info, command.get());
  command.check(f, result);
  return result;
}

npuResult Caller<npuOpsRopeTable>::call(Fuzzer& f, Names) {
  const auto width = f.rng.of<uint32_t>({0, 2, 16, 64, 7, 1024});
  const auto table_rows = static_cast<uint32_t>(f.rng.below(65));
  auto* cos_table = reinterpret_cast<float*>(f.arena());
  float* sin_table = cos_table + 64 * 1024;
  const double base = f.rng.of<double>({10000.0, 0.0, -1.0, 1e308 * 10, 500000.0});
  if (!f.valid_only && f.rng.percent(10)) {
    return npuOpsRopeTable(base, f.rng.of<uint32_t>({0xffffffff, 0xfffffffe}), 0xffffffff, nullptr,
                           f.rng.percent(50) ? nullptr : sin_table);
  }
  return npuOpsRopeTable(base, width, table_rows, cos_table, sin_table);
}

// Matrices that the arena holds, or sizes that no memory could.
template <typename Function>
npuResult call_tiling(Fuzzer& f, Function* function) {
  const auto type = !f.valid_only && f.rng.percent(10)
                        ? static_cast<npuDataType>(f.rng.below(40)) - 5
                        : f.rng.of<npuDataType>({NPU_Q8_0, NPU_Q4_0});
  uint64_t rows = 16 * f.rng.below(9), cols = 32 * f.rng.below(17);
  if (!f.valid_only && f.rng.percent(10))
    rows = f.rng.of<uint64_t>({1, 15, 24, UINT64_MAX, UINT64_MAX - 15});
  if (!f.valid_only && f.rng.percent(10)) cols = f.rng.of<uint64_t>({1, 31, 48, UINT64_MAX});
  void* const src = f.host();
  return function(type, rows, cols, src, f.rng.percent(50) ? src : f.host());
}

npuResult Caller<npuOpsTileWeights>::call(Fuzzer& f, Names) {
  return call_tiling(f, npuOpsTileWeights);
}

npuResult Caller<npuOpsUntileWeights>::call(Fuzzer& f, Names) {
  return call_tiling(f, npuOpsUntileWeights);
}

}  // namespace npu::fuzz
