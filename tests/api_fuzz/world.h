// SPDX-License-Identifier: Apache-2.0
// What the fuzzer knows of the objects that its calls made: handles, live and stale, addresses and descriptors.
//
// Thread safety: all functions.
#pragma once

#include <npu/npu.h>
#include <npu/npu_ml.h>
#include <npu/npu_ops.h>
#include <npu/npu_ops_train.h>
#include <npu/npu_prof.h>
#include <npu/npu_tensor.h>

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "tests/support/rng.h"

namespace npu::fuzz {

using test::Rng;

enum class Kind {
  kDevice,
  kContext,
  kQueue,
  kEvent,
  kModule,
  kKernel,
  kPrepared,
  kSemaphore,
  kGraph,
  kExec,
  kPool,
  kMemory,
  kOps,
  kMlDevice,
  kSubscriber,
  kCount
};
inline constexpr size_t kKinds = static_cast<size_t>(Kind::kCount);

// Kind::kCount: no handle.
template <typename T>
inline constexpr Kind kKindOf = Kind::kCount;
template <>
inline constexpr Kind kKindOf<npuDevice> = Kind::kDevice;
template <>
inline constexpr Kind kKindOf<npuContext> = Kind::kContext;
template <>
inline constexpr Kind kKindOf<npuQueue> = Kind::kQueue;
template <>
inline constexpr Kind kKindOf<npuEvent> = Kind::kEvent;
template <>
inline constexpr Kind kKindOf<npuModule> = Kind::kModule;
template <>
inline constexpr Kind kKindOf<npuKernel> = Kind::kKernel;
template <>
inline constexpr Kind kKindOf<npuPreparedLaunch> = Kind::kPrepared;
template <>
inline constexpr Kind kKindOf<npuSemaphore> = Kind::kSemaphore;
template <>
inline constexpr Kind kKindOf<npuGraph> = Kind::kGraph;
template <>
inline constexpr Kind kKindOf<npuGraphExec> = Kind::kExec;
template <>
inline constexpr Kind kKindOf<npuMemPool> = Kind::kPool;
template <>
inline constexpr Kind kKindOf<npuMemHandle> = Kind::kMemory;
template <>
inline constexpr Kind kKindOf<npuOps> = Kind::kOps;
template <>
inline constexpr Kind kKindOf<npuMlDevice> = Kind::kMlDevice;
template <>
inline constexpr Kind kKindOf<npuProfSubscriber> = Kind::kSubscriber;

struct Entry {
  uint64_t handle = 0;
  uint64_t context = 0;  // in which it was made; of a context: itself; 0: none
  uint64_t parent = 0;   // ends with it
};

struct Address {
  uint64_t context = 0;
  npuDevPtr ptr = 0;
  const char* maker = "";  // the function that gave it
};

class World {
 public:
  void add(Kind kind, Entry entry);
  // It was ended, and with it what depends on it.
  void remove(Kind kind, uint64_t handle);
  // A live one, |context|'s if that can be; handle 0: there is none.
  Entry pick(Kind kind, Rng& rng, uint64_t context = 0);
  uint64_t pick_stale(Kind kind, Rng& rng);
  size_t count(Kind kind);
  std::vector<Entry> all(Kind kind);

  void add_address(Address address);
  // One of |context| and of |maker| (nullptr: any) if that can be; ptr 0: there is none.
  Address pick_address(Rng& rng, uint64_t context, const char* maker);
  // One that should be given back, when there are more than |most|.
  bool take_address(size_t most, Address* out);

  void add_fd(int fd);  // its owner from now on
  int pick_fd(Rng& rng);
  // Forgets everything and closes the descriptors.
  void clear();

 private:
  struct List {
    std::vector<Entry> live;
    std::vector<uint64_t> stale;
  };
  void remove_locked(Kind kind, uint64_t handle);

  std::mutex mutex_;  // of all
  std::array<List, kKinds> lists_;
  std::vector<Address> addresses_;
  std::vector<int> fds_;
};

}  // namespace npu::fuzz
