// SPDX-License-Identifier: Apache-2.0
// What a queue has found out about its launches: a command with the words of one that was checked before needs no check, no search and no set-up.
//
// A launch is known by the words of its command, wherever that lies: nobody has to be told when a list changes. What the words refer to is found again once a module was removed.
// The tag and the address of the arguments are not among the words, nor are the arguments themselves, which are copied for each launch.
//
// Thread safety: belongs to the command processor while it runs the queue.
#ifndef NPU_MODEL_DEVICE_PREPARED_LAUNCH_H_
#define NPU_MODEL_DEVICE_PREPARED_LAUNCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "firmware-model/device/launch.h"
#include "uapi/npu_isa.h"
#include "uapi/npu_queue.h"

namespace npu::model {

// The part of a launch command that says what is launched: module and kernel, grid, bytes of arguments.
struct LaunchWords {
  std::array<uint64_t, 3> words{};

  explicit LaunchWords(const npu_cmd_launch& command) {
    static_assert(offsetof(npu_cmd_launch, module) == 8 &&
                  offsetof(npu_cmd_launch, args_dva) == 32);
    const auto* const at = reinterpret_cast<const std::byte*>(&command) + 8;
    for (size_t i = 0; i < words.size(); ++i) std::memcpy(&words[i], at + i * 8, 8);
  }
  bool operator==(const LaunchWords& other) const {
    return ((words[0] ^ other.words[0]) | (words[1] ^ other.words[1]) |
            (words[2] ^ other.words[2])) == 0;
  }
  uint64_t hash() const {
    return (words[0] + 3 * words[1] + 5 * words[2]) *
           0x9e3779b97f4a7c15;  // 2^64 by the golden ratio
  }
};

struct PreparedLaunch {
  LaunchWords words;
  uint64_t removals =
      0;  // ModuleTable::removals() when it was made: the kernel exists as long as that is the same
  LaunchRequest request;
  uint64_t work = UINT64_MAX;  // of the last one, as Queue::turn_work; at first not known
};

class PreparedLaunches {
 public:
  using Arguments = std::array<uint64_t, NPU_ARGS_MAX_BYTES / 8>;

  // nullptr: it has to be made.
  PreparedLaunch* find(const LaunchWords& words, uint64_t removals) const {
    PreparedLaunch* known = places_[place(words)].get();
    return known != nullptr && known->removals == removals && known->words == words ? known
                                                                                    : nullptr;
  }
  // A new one, in the place of another.
  PreparedLaunch& make(const LaunchWords& words, uint64_t removals) {
    auto& at = places_[place(words)];
    at.reset(new PreparedLaunch{words, removals, {}});
    return *at;
  }
  // Of the launch that runs: a queue has one at a time.
  Arguments& arguments() { return arguments_; }

 private:
  static constexpr unsigned kPlacesLog2 = 6;
  static size_t place(const LaunchWords& words) { return words.hash() >> (64 - kPlacesLog2); }

  std::array<std::unique_ptr<PreparedLaunch>, size_t{1} << kPlacesLog2> places_;
  Arguments arguments_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_PREPARED_LAUNCH_H_
