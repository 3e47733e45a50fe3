// SPDX-License-Identifier: Apache-2.0
// Reading of the folder of an interface, with system calls that the sandbox of npu-modeld allows.
#include "firmware-model/device/interface.h"

#include <fcntl.h>
#include <net/if.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

namespace npu::model {
namespace {

constexpr size_t kMaxFileBytes = 64;  // a number or a word
constexpr uint64_t kMaxSpeedMbps = 100'000'000;

// The content without its newline; empty: no such file, not readable now, or longer than any answer of the kernel.
std::string read_word(const std::string& path) {
  // A pipe in the place of the file must not stop the device.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {};
  char text[kMaxFileBytes];
  const ssize_t bytes = read(fd, text, sizeof(text));
  close(fd);
  if (bytes <= 0 || static_cast<size_t>(bytes) == sizeof(text)) return {};
  std::string word(text, static_cast<size_t>(bytes));
  if (word.ends_with('\n')) word.pop_back();
  return word;
}

bool parse_number(std::string_view text, int base, uint64_t* out) {
  if (base == 16 && text.starts_with("0x")) text.remove_prefix(2);
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), *out, base);
  return problem == std::errc() && stop == text.data() + text.size();
}

bool read_number(const std::string& path, uint64_t* out) {
  return parse_number(read_word(path), 10, out);
}

npu_port_state read_state(const std::string& folder) {
  uint64_t flags = 0;
  if (!parse_number(read_word(folder + "/flags"), 16, &flags)) return NPU_PORT_DOWN;
  if ((flags & IFF_UP) == 0) return NPU_PORT_DISABLED;
  const std::string state = read_word(folder + "/operstate");
  if (state == "up") return NPU_PORT_UP;
  if (state == "dormant" || state == "testing") return NPU_PORT_TRAINING;
  // Interfaces without a state machine say "unknown"; they have a carrier all the same. One that has just got its carrier says "down" for up to a second more.
  const bool may_be_up = state == "unknown" || state == "down";
  uint64_t carrier = 0;
  const bool has_carrier = read_number(folder + "/carrier", &carrier) && carrier == 1;
  return may_be_up && has_carrier ? NPU_PORT_UP : NPU_PORT_DOWN;
}

}  // namespace

InterfaceReading read_interface(const std::string& folder) {
  InterfaceReading out;
  out.state = read_state(folder);
  uint64_t speed = 0;
  // -1, and an error while there is no carrier, both mean that it is not known.
  if (read_number(folder + "/speed", &speed) && speed <= kMaxSpeedMbps) {
    out.speed_mbps = static_cast<uint32_t>(speed);
  }
  const std::string counters = folder + "/statistics/";
  out.has_counters = read_number(counters + "rx_bytes", &out.rx_bytes) &&
                     read_number(counters + "tx_bytes", &out.tx_bytes) &&
                     read_number(counters + "rx_packets", &out.rx_packets) &&
                     read_number(counters + "tx_packets", &out.tx_packets) &&
                     read_number(counters + "rx_errors", &out.rx_errors) &&
                     read_number(counters + "tx_errors", &out.tx_errors);
  return out;
}

}  // namespace npu::model
