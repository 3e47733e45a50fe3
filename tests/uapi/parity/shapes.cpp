// SPDX-License-Identifier: Apache-2.0
// Arrays with other strides, counts and addresses; structs and elements that are shorter or longer than this header's.
#include <unistd.h>

#include <cerrno>

#include "tests/uapi/parity/bases.h"
#include "uapi/npu_wire.h"

namespace npu::parity {
namespace {

using Change = std::function<void(Prepared*)>;

npu_array get(const Prepared& prepared, size_t i) {
  npu_array array{};
  std::memcpy(&array, prepared.args.data() + prepared.arrays[i].offset, sizeof array);
  return array;
}

void put(Prepared* prepared, size_t i, const npu_array& array) {
  std::memcpy(prepared->args.data() + prepared->arrays[i].offset, &array, sizeof array);
}

// Makes the elements of array |i| |stride| bytes long; the new tail of each is |tail|.
void restride(Prepared* prepared, size_t i, uint32_t stride, uint8_t tail) {
  npu_array array = get(*prepared, i);
  const Bytes old = *prepared->arrays[i].memory;
  Bytes fresh(static_cast<size_t>(stride) * array.count, tail);
  for (uint32_t n = 0; n < array.count; n++) {
    const size_t common = std::min(stride, array.stride);
    if (common == 0) break;  // a stride of 0: nothing to keep, and perhaps no memory
    std::memcpy(fresh.data() + static_cast<size_t>(n) * stride,
                old.data() + static_cast<size_t>(n) * array.stride, common);
  }
  *prepared->arrays[i].memory = fresh;
  array.stride = stride;
  put(prepared, i, array);
}

// Repeats the first element.
void recount(Prepared* prepared, size_t i, uint32_t count) {
  npu_array array = get(*prepared, i);
  const Bytes first(prepared->arrays[i].memory->begin(),
                    prepared->arrays[i].memory->begin() + array.stride);
  // What is refused by its count alone needs no memory.
  const uint32_t backed = std::min<uint32_t>(count, 5000);
  prepared->arrays[i].memory->clear();
  for (uint32_t n = 0; n < backed; n++) {
    prepared->arrays[i].memory->insert(prepared->arrays[i].memory->end(), first.begin(),
                                       first.end());
  }
  array.count = count;
  put(prepared, i, array);
}

void run_case(Scene& scene, const Base& base, const std::string& name, const Change& change) {
  Prepared prepared = base.prepare(scene);
  const Bytes good = prepared.args;
  change(&prepared);
  Bytes args = prepared.args;
  const int error = scene.own.logged_bytes(name, base.nr, &args, prepared.arrays, prepared.fd);
  base.undo(scene, error == 0 ? args : good, error);
  if (prepared.fd >= 0 && prepared.fd != scene.event_fd) close(prepared.fd);
}

void run_strides(Scene& scene, const Base& base, size_t i, uint32_t stride) {
  const std::string name = std::string(base.label) + ".array.stride";
  for (const uint32_t wrong : {0u, 4u, stride + 4, static_cast<uint32_t>(NPU_MAX_STRIDE) + 8}) {
    run_case(scene, base, name + "=" + std::to_string(wrong), [&](Prepared* prepared) {
      npu_array array = get(*prepared, i);
      array.stride = wrong;
      put(prepared, i, array);
    });
  }
  run_case(scene, base, name + ".short",
           [&](Prepared* prepared) { restride(prepared, i, stride - 8, 0); });
  run_case(scene, base, name + ".long",
           [&](Prepared* prepared) { restride(prepared, i, stride + 8, 0); });
  run_case(scene, base, name + ".long_tail",
           [&](Prepared* prepared) { restride(prepared, i, stride + 8, 1); });
  run_case(scene, base, name + ".longest",
           [&](Prepared* prepared) { restride(prepared, i, NPU_MAX_STRIDE, 0); });
}

void run_counts(Scene& scene, const Base& base, size_t i, const npu_call_array& limits) {
  const std::string name = std::string(base.label) + ".array.count";
  run_case(scene, base, name + "=0", [&](Prepared* prepared) { recount(prepared, i, 0); });
  run_case(scene, base, name + "=0.all_zero", [&](Prepared* prepared) {
    prepared->arrays[i].memory->clear();
    put(prepared, i, npu_array{});
  });
  run_case(scene, base, name + "=2", [&](Prepared* prepared) { recount(prepared, i, 2); });
  run_case(scene, base, name + ".above_most",
           [&](Prepared* prepared) { recount(prepared, i, limits.max_count + 1); });
  run_case(scene, base, name + "=0xffffffff",
           [&](Prepared* prepared) { recount(prepared, i, 0xffffffff); });
}

void run_places(Scene& scene, const Base& base, size_t i) {
  const std::string name = std::string(base.label) + ".array.ptr";
  run_case(scene, base, name + ".unaligned",
           [&](Prepared* prepared) { prepared->arrays[i].place = ArrayArg::Place::kUnaligned; });
  run_case(scene, base, name + ".nowhere",
           [&](Prepared* prepared) { prepared->arrays[i].place = ArrayArg::Place::kNowhere; });
  run_case(scene, base, name + ".without_elements", [&](Prepared* prepared) {
    prepared->arrays[i].place = ArrayArg::Place::kAsItIs;
    put(prepared, i, npu_array{0, 0, 8});
  });
}

void run_struct_sizes(Scene& scene, const Base& base) {
  const std::string name = std::string(base.label) + ".struct";
  run_case(scene, base, name + ".short",
           [](Prepared* prepared) { prepared->args.resize(prepared->args.size() - 8); });
  run_case(scene, base, name + ".long",
           [](Prepared* prepared) { prepared->args.resize(prepared->args.size() + 8, 0); });
  run_case(scene, base, name + ".long_tail", [](Prepared* prepared) {
    prepared->args.resize(prepared->args.size() + 64, 0);
    prepared->args.back() = 1;
  });
}

void run_unknown_calls(Road* road, Log* log) {
  Session session(road, log);
  for (const uint32_t nr : {static_cast<uint32_t>(NPU_CALL_COUNT), 0x5fu}) {
    Bytes args(16, 0);
    session.logged_bytes("UNKNOWN." + std::to_string(nr), nr, &args, {}, -1);
  }
}

}  // namespace

void run_shapes(Road* road, Log* log) {
  for (const Base& base : all_bases()) {
    Scene scene(road, log);
    npu_call_desc desc{};
    npu_call_describe(base.nr, &desc);
    run_struct_sizes(scene, base);
    const Prepared shape = base.prepare(scene);
    base.undo(scene, shape.args, EINVAL);
    for (size_t i = 0; i < shape.arrays.size(); i++) {
      // An OUT array may have any stride from 8 on: the elements are cut or filled up.
      run_strides(scene, base, i, get(shape, i).stride);
      run_counts(scene, base, i, desc.arrays[i]);
      run_places(scene, base, i);
    }
  }
  run_unknown_calls(road, log);
}

}  // namespace npu::parity
