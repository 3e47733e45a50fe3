// SPDX-License-Identifier: Apache-2.0
// Random arguments: mostly ones that pass the first checks, some that no caller should use.
#include "tests/api_fuzz/fuzzer.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace npu::fuzz {
namespace {

bool has(const char* name, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (std::strstr(name, word) != nullptr) return true;
  }
  return false;
}

}  // namespace

Fuzzer::Fuzzer(World& w, uint64_t seed) : world(w), rng(seed) {
  void* const memory = mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("no memory for the arena");
  arena_ = static_cast<unsigned char*>(memory);
  for (size_t i = 0; i < 4096; i++) arena_[i] = static_cast<unsigned char>(rng.next());
  scratch_ = static_cast<unsigned char*>(std::malloc(kScratchBytes));
  if (scratch_ == nullptr) fail("no memory for arguments");
}

Fuzzer::~Fuzzer() {
  munmap(arena_, kArenaBytes);
  std::free(scratch_);
}

void Fuzzer::begin(const char* name) {
  function = name;
  context = first_handle = kernel = 0;
  count = 0;
  endless = false;
  valid_only = rng.percent(40);
  scratch_used_ = 0;
}

void* Fuzzer::scratch(size_t size_bytes) {
  scratch_used_ = (scratch_used_ + 15) / 16 * 16;
  if (size_bytes > kScratchBytes - scratch_used_) fail("the scratch memory is too small");
  void* const at = scratch_ + scratch_used_;
  scratch_used_ += size_bytes;
  return at;
}

void* Fuzzer::host() {
  if (!valid_only && rng.percent(6)) return nullptr;
  return arena_ + (rng.percent(50) ? 0 : rng.below(1u << 20));
}

uint64_t Fuzzer::handle(Kind kind) {
  Entry entry = world.pick(kind, rng, context);
  uint64_t number = entry.handle;
  const uint64_t dice = valid_only ? 99 : rng.below(100);
  if (dice < 5) {
    number = 0;
  } else if (dice < 11) {
    number = world.pick_stale(kind, rng);
  } else if (dice < 17) {
    number = world.pick(static_cast<Kind>(rng.below(kKinds)), rng).handle;
  } else if (dice < 20) {
    number = world.pick_stale(static_cast<Kind>(rng.below(kKinds)), rng);
  } else if (dice < 24) {
    number ^= uint64_t{1} << rng.below(64);
  } else if (dice < 27) {
    number = rng.next();
  } else if (dice < 30) {
    number = reinterpret_cast<uintptr_t>(arena_);
  }
  if (entry.context != 0) context = entry.context;
  if (first_handle == 0) first_handle = number;
  if (kind == Kind::kKernel) kernel = number == entry.handle ? number : 0;
  return number;
}

uint64_t Fuzzer::size() {
  if (!valid_only && rng.percent(10)) {
    const uint64_t huge = rng.of<uint64_t>(
        {kHugeBytes, uint64_t{1} << 47, uint64_t{1} << 63, ~0ull, ~0ull - 255, ~0ull - 65535});
    return huge - (rng.one_in(4) ? 0 : rng.below(2) * (huge != kHugeBytes));
  }
  if (valid_only && has(function, {"MapAt", "UnmapAt"})) return NPU_MEM_GRANULE_BYTES;
  if (valid_only && has(function, {"MemCreate", "Reserve", "ImportFd"}))
    return rng.of<uint64_t>({65536, 131072});
  const uint64_t base = rng.of<uint64_t>({0, 1, 4, 8, 16, 64, 256, 256, 1024, 1024, 4096, 4096,
                                          65536, 65536, 65536, 131072, 1u << 20, kSmallBytes});
  if (valid_only) return base + (base == 0) * 256;
  return rng.one_in(8) ? base + 1 : base;
}

uint64_t Fuzzer::value() {
  if (!valid_only && rng.percent(5))
    return rng.of<uint64_t>({~0ull, uint64_t{1} << 63, (uint64_t{1} << 63) + 1, ~0ull - 1});
  return rng.below(rng.of<uint64_t>({3, 3, 20, 2000}));
}

npuDevPtr Fuzzer::address() {
  if (!valid_only && rng.percent(8))
    return rng.of<uint64_t>({0, 1, ~0ull, ~0ull - 7, uint64_t{1} << 63, rng.next()});
  const char* maker = valid_only ? "npuMemAlloc" : nullptr;
  if (has(function, {"FreeAsync"})) maker = "npuMemAllocAsync";
  if (has(function, {"MapAt", "Reservation"})) maker = "npuMemReserve";
  if (has(function, {"UnmapAt"})) maker = "npuMemMapAt";
  const npuDevPtr base = world.pick_address(rng, context, maker).ptr;
  last_address = base;
  switch (rng.below(valid_only ? 32 : 8)) {
    case 0:
      return base + rng.below(256) * 8;
    case 1:
      return valid_only ? base : base + rng.below(65536);
    case 2:
      return base + rng.below(4) * NPU_MEM_GRANULE_BYTES;
    default:
      return base;
  }
}

uint64_t Fuzzer::number(const char* name) {
  if (has(name, {"align"}) && !rng.one_in(8))
    return rng.of<uint64_t>({0, 4096, 1u << 21, 1u << 22});
  if (has(name, {"offset"}) && valid_only) return 0;
  if (has(name, {"size", "bytes", "offset", "threshold"})) return size();
  if (has(name, {"value", "initial"})) return value();
  if (has(name, {"ptr", "dva", "dst", "src", "semaphore"})) return address();
  if (rng.one_in(16)) return rng.next();
  return rng.of({size(), value()});
}

uint32_t Fuzzer::small(const char* name) {
  if (has(name, {"count"})) {
    count = valid_only || !rng.percent(6)
                ? static_cast<uint32_t>(rng.below(4))
                : rng.of<uint32_t>({kArrayMax, kArrayMax + 1, 0x7fffffff, 0xffffffff, 1u << 30});
    return count;
  }
  if (valid_only && has(name, {"offset"})) return 0;
  if (valid_only && has(name, {"bytes"})) return rng.of<uint32_t>({4, 8});
  if (valid_only && has(name, {"node"})) return static_cast<uint32_t>(1 + rng.below(4));
  if (has(name, {"flags"}) && !rng.percent(10)) return rng.percent(30) ? NPU_MEM_READONLY : 0;
  if (has(name, {"version"}) && !rng.percent(20)) return 2;
  if (!valid_only && rng.percent(8))
    return rng.of<uint32_t>({0x7fffffff, 0x80000000, 0xffffffff, 0x10000});
  return rng.of<uint32_t>({0, 1, 1, 2, 4, 8, 16, 24, static_cast<uint32_t>(rng.below(64))});
}

int64_t Fuzzer::timeout() {
  // A flush has no handle that could be wrong: it would wait for whatever blocked queues there are.
  const bool may_be_endless = !has(function, {"ProfFlush"});
  if (may_be_endless && !valid_only && rng.percent(4)) {
    endless = true;
    return rng.of<int64_t>({NPU_TIMEOUT_INFINITE, NPU_TIMEOUT_INFINITE - 1, int64_t{1} << 40});
  }
  if (!valid_only && rng.percent(4)) return rng.of<int64_t>({-1, INT64_MIN});
  return rng.of<int64_t>({0, 0, 1, 1000, 50'000, 300'000});
}

int Fuzzer::descriptor() {
  if (valid_only || rng.percent(70)) return world.pick_fd(rng);
  return rng.of<int>({-1, INT32_MIN, INT32_MAX, 1'000'000, 0, 2});
}

const char* Fuzzer::text(const char* name) {
  if (!valid_only && rng.percent(10)) {
    if (rng.percent(30)) return nullptr;
    const size_t length = rng.of<size_t>({0, 1, 63, 64, 65, 255, 4095, 4096, 4097, 20000});
    char* const text = static_cast<char*>(scratch(length + 1));
    for (size_t i = 0; i < length; i++) text[i] = static_cast<char>(1 + rng.below(255));
    text[length] = 0;
    return text;
  }
  if (has(name, {"selector"}))
    return rng.of<const char*>(
        {nullptr, "0", "1", "-1", "99999999999", "NPU-", "0000:00:00.0", "0x0"});
  if (has(name, {"path"}))
    return rng.of<const char*>({blob_path(), blob_path(), "/dev/null", "/", "", "/nonexistent"});
  return rng.of<const char*>({"null", "add_scalar", "poke", "peek", "trap", "divide", "grid",
                              "assert_positive", "no_such", "memory.hbm_bytes", "queue.max",
                              "is_virtual", "npuInit", "npuMemAlloc", "npuQueueLaunch", "launches",
                              "copied_bytes", "commands_completed"});
}

void Fuzzer::keep(Kind kind, uint64_t handle) {
  npuKernelInfo info{};
  info.struct_size = sizeof info;
  // One that runs until somebody ends it would be all that is left to see.
  if (kind == Kind::kKernel &&
      npuKernelGetInfo(reinterpret_cast<npuKernel>(handle), &info) == NPU_OK &&
      std::strcmp(info.name, "forever") == 0) {
    return;
  }
  Entry entry{handle, context, context};
  if (kind == Kind::kContext) entry = {handle, handle, first_handle};
  if (kind == Kind::kKernel) entry.parent = first_handle;
  if (kind == Kind::kDevice || kind == Kind::kMlDevice || kind == Kind::kSubscriber)
    entry = {handle, 0, 0};
  if (kind == Kind::kOps) entry.parent = 0;
  world.add(kind, entry);
}

void Fuzzer::fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fprintf(stderr, "api_fuzz: %s: ", function);
  std::vfprintf(stderr, format, arguments);
  std::fprintf(stderr, "\n");
  va_end(arguments);
  std::abort();
}

void Fuzzer::judge(npuResult result) {
  if (std::strcmp(npuResultGetName(result), "NPU_UNKNOWN") == 0)
    fail("returned %d, no code", result);
  if (result >= 0 || has(function, {"ErrorGetInfo"}))
    return;  // asking for the detail does not change it
  npuErrorInfo info{};
  info.struct_size = sizeof info;
  const bool ml = std::strncmp(function, "npuMl", 5) == 0;
  if ((ml ? npuMlErrorGetInfo(&info) : npuErrorGetInfo(&info)) != NPU_OK)
    fail("no detail of an error");
  const char* detail = info.text;
  if (std::strncmp(function, "npuOps", 6) == 0) {
    detail = npuOpsGetErrorText();
    if (detail[0] == 0) fail("%s without a text", npuResultGetName(result));
  } else if (info.code != result || std::strcmp(info.function, function) != 0 ||
             info.text[0] == 0) {
    fail("returned %s, but the detail is of %s in %s: %s", npuResultGetName(result),
         npuResultGetName(info.code), info.function, info.text);
  }
  switch (result) {
    case NPU_ERROR_INTERNAL:
    case NPU_ERROR_DRIVER:
    case NPU_ERROR_PROTOCOL:
    case NPU_ERROR_START_MODEL:
    case NPU_ERROR_DEVICE_LOST:
    case NPU_ERROR_CONTEXT_LOST:
    case NPU_ERROR_VERSION_SKEW:
    case NPU_ERROR_BAD_DOORBELL:
      if (result == NPU_ERROR_VERSION_SKEW && std::strcmp(function, "npuGetProcAddress") == 0)
        return;
      fail("returned %s: %s", npuResultGetName(result), detail);
    default:
      return;
  }
}

}  // namespace npu::fuzz
