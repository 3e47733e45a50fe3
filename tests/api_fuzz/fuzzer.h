// SPDX-License-Identifier: Apache-2.0
// One thread that fuzzes: its random numbers, its memory for arguments, and what the arguments of the present call have in common.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "tests/api_fuzz/world.h"
#include "tests/support/rng.h"

namespace npu::fuzz {

// No size that the generators make lies between these two: what is small fits the arena, what is large fits no device.
inline constexpr uint64_t kSmallBytes = 2u << 20;
inline constexpr uint64_t kHugeBytes = uint64_t{1} << 44;
// Host memory that calls read and write. Checks of the library bound a transfer by an allocation, or by reservations full of them: 64 of kSmallBytes at most.
inline constexpr size_t kArenaBytes = 256u << 20;
inline constexpr size_t kScratchBytes = 128u << 10;
// Elements of every array that a count belongs to.
inline constexpr uint32_t kArrayMax = 64;

// A blob with kernels that end, of which some fail: conformance.nfw.
const char* blob_path();

// The calls of host functions.
inline std::atomic<uint64_t> g_host_calls{0};

class Fuzzer {
 public:
  Fuzzer(World& world, uint64_t seed);
  ~Fuzzer();
  Fuzzer(const Fuzzer&) = delete;
  Fuzzer& operator=(const Fuzzer&) = delete;

  // Forgets the arguments of the call before.
  void begin(const char* function);
  // Memory for an argument of this call, at most kScratchBytes in all.
  void* scratch(size_t size_bytes);
  // A place in the arena.
  void* host();
  unsigned char* arena() { return arena_; }

  uint64_t handle(Kind kind);
  uint64_t size();
  uint64_t value();
  npuDevPtr address();
  uint64_t number(const char* name);  // by the name of a parameter or member
  uint32_t small(const char* name);   // 32 bits likewise
  int64_t timeout();
  int descriptor();
  const char* text(const char* name);

  // An object that the call made.
  void keep(Kind kind, uint64_t handle);

  // After a call: ends the program when the result is none that a caller could have provoked.
  void judge(npuResult result);
  [[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 2, 3)));

  World& world;
  Rng rng;
  const char* function = "";
  uint64_t context = 0;  // of the handle that was chosen last
  uint64_t first_handle = 0;
  uint64_t kernel = 0;
  npuDevPtr last_address = 0;
  uint32_t count = 0;  // chosen last for a parameter that counts an array
  bool endless =
      false;  // a timeout was chosen that nobody wants to see pass: no handle may be valid
  bool valid_only = false;  // arguments are chosen to succeed

 private:
  unsigned char* arena_ = nullptr;
  unsigned char* scratch_ = nullptr;
  size_t scratch_used_ = 0;
};

}  // namespace npu::fuzz
