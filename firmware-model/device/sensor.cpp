// SPDX-License-Identifier: Apache-2.0
// Rates from counters, and a first-order thermal model.
#include "firmware-model/device/sensor.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "firmware-model/device/launch.h"
#include "firmware-model/tile/timing.h"

namespace npu::model {
namespace {

// A package under liquid or forced-air cooling: at its power limit the die settles 50 K above the
// coolant. Inferred; no vendor publishes the thermal resistance of these chips.
constexpr double kCoolantC = 35.0;
constexpr double kDieRiseC = 50.0;
constexpr double kHbmRiseC = 42.0;
constexpr double kDieTauSeconds = 8.0;
constexpr double kHbmTauSeconds = 15.0;
constexpr int64_t kWarnMillideg = 95'000;
constexpr int64_t kShutdownMillideg = 105'000;
constexpr int64_t kMaxOffsetMillideg = 1'000'000;

// One step of a first-order low-pass towards |target|.
double settle(double now, double target, double seconds, double tau) {
  return target + (now - target) * std::exp(-seconds / tau);
}

// Where a profile has the rate that metric |id| tells of.
uint32_t npu_profile::*rate_of(uint32_t id) {
  switch (id) {
    case NPU_METRIC_MAC_RATE_BF16_MAX:
      return &npu_profile::mac_per_cycle_bf16;
    case NPU_METRIC_MAC_RATE_FP8_MAX:
      return &npu_profile::mac_per_cycle_fp8;
    case NPU_METRIC_MAC_RATE_I8_MAX:
      return &npu_profile::mac_per_cycle_i8;
    case NPU_METRIC_MAC_RATE_FP6_MAX:
      return &npu_profile::mac_per_cycle_fp6;
    case NPU_METRIC_MAC_RATE_FP4_MAX:
      return &npu_profile::mac_per_cycle_fp4;
    default:
      return &npu_profile::mac_per_cycle_f32;
  }
}

int64_t clamped(uint64_t value) {
  return static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX));
}

}  // namespace

int64_t Sensors::macs_per_second(uint32_t per_tile_and_cycle) const {
  using Wide = unsigned __int128;
  const Wide rate = Wide{profile_.clusters} * profile_.tiles_per_cluster * per_tile_and_cycle *
                    profile_.core_clock_khz * 1000;
  return clamped(static_cast<uint64_t>(std::min<Wide>(rate, INT64_MAX)));
}

int64_t host_time_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Sensors::Sensors(const npu_profile& profile, const RegisterFile& registers,
                 std::function<uint64_t()> busy_wall_ns)
    : profile_(profile),
      registers_(registers),
      busy_wall_ns_(std::move(busy_wall_ns)),
      start_ns_(host_time_ns()),
      power_mw_(profile.power_idle_mw) {
  last_.wall_ns = start_ns_;
  const double limit = profile_.power_limit_mw;
  const double load = limit == 0 ? 0 : profile_.power_idle_mw / limit;
  die_c_ = kCoolantC + kDieRiseC * load;
  hbm_c_ = kCoolantC + kHbmRiseC * load;
}

Sensors::Sample Sensors::take() const {
  return {.wall_ns = host_time_ns(),
          .busy_wall_ns = busy_wall_ns_(),
          .busy_ps = registers_.get(NPU_REG_BUSY_PS),
          .bytes_moved = registers_.get(NPU_REG_BYTES_MOVED),
          .energy_nj = registers_.get(NPU_REG_ENERGY_NJ)};
}

void Sensors::refresh() {
  if (host_time_ns() - last_.wall_ns < kWindowNs) return;
  const Sample now = take();
  const double wall = static_cast<double>(now.wall_ns - last_.wall_ns);
  const double busy_ps = static_cast<double>(now.busy_ps - last_.busy_ps);
  core_ = std::min(1.0, static_cast<double>(now.busy_wall_ns - last_.busy_wall_ns) / wall);
  double traffic = 0;
  double busy_mw = 0;
  if (busy_ps > 0) {
    // 10^6 bytes a second are 10^-6 bytes a picosecond.
    const double peak = static_cast<double>(profile_.hbm_mbytes_per_s) * 1e-6 * busy_ps;
    traffic = std::min(1.0, static_cast<double>(now.bytes_moved - last_.bytes_moved) / peak);
    // nJ / ps = kW = 10^6 mW
    busy_mw = static_cast<double>(now.energy_nj - last_.energy_nj) / busy_ps * 1e6;
  }
  memory_ = traffic * core_;
  const double power = profile_.power_idle_mw + busy_mw * core_;
  capped_ = power > profile_.power_limit_mw;
  power_mw_ = std::min<double>(power, profile_.power_limit_mw);
  const double load = profile_.power_limit_mw == 0 ? 0 : power_mw_ / profile_.power_limit_mw;
  const double seconds = wall * 1e-9;
  die_c_ = settle(die_c_, kCoolantC + kDieRiseC * load, seconds, kDieTauSeconds);
  hbm_c_ = settle(hbm_c_, kCoolantC + kHbmRiseC * load, seconds, kHbmTauSeconds);
  last_ = now;
}

bool Sensors::set_offset(int64_t millideg) {
  if (millideg < -kMaxOffsetMillideg || millideg > kMaxOffsetMillideg) return false;
  offset_millideg_ = millideg;
  return true;
}

int64_t Sensors::die_millideg() const { return std::llround(die_c_ * 1000) + offset_millideg_; }

Sensors::Heat Sensors::heat() const {
  const int64_t millideg = die_millideg();
  if (millideg > kShutdownMillideg) return Heat::kShutdown;
  return millideg > kWarnMillideg ? Heat::kWarning : Heat::kNormal;
}

bool Sensors::read(uint32_t id, int64_t* value) const {
  switch (id) {
    case NPU_METRIC_UTIL_CORE:
      *value = std::llround(core_ * 10000);
      return true;
    case NPU_METRIC_UTIL_MEMORY:
      *value = std::llround(memory_ * 10000);
      return true;
    case NPU_METRIC_CORE_CLOCK:
    case NPU_METRIC_CORE_CLOCK_MAX:
      *value = profile_.core_clock_khz;
      return true;
    case NPU_METRIC_MEMORY_CLOCK:
    case NPU_METRIC_MEMORY_CLOCK_MAX:
      *value = profile_.hbm_clock_khz;
      return true;
    case NPU_METRIC_MEMORY_RATE_MAX:
      *value = clamped(profile_.hbm_mbytes_per_s * 1'000'000);
      return true;
    case NPU_METRIC_MAC_RATE_MAX:
      *value = macs_per_second(mac_rate_most(tile_params(profile_)));
      return true;
    case NPU_METRIC_MAC_RATE_F32_MAX:
    case NPU_METRIC_MAC_RATE_BF16_MAX:
    case NPU_METRIC_MAC_RATE_FP8_MAX:
    case NPU_METRIC_MAC_RATE_I8_MAX:
    case NPU_METRIC_MAC_RATE_FP6_MAX:
    case NPU_METRIC_MAC_RATE_FP4_MAX:
      *value = macs_per_second(profile_.*rate_of(id));
      return true;
    case NPU_METRIC_TEMP_DIE:
      *value = die_millideg();
      return true;
    case NPU_METRIC_TEMP_HBM:
      *value = std::llround(hbm_c_ * 1000);
      return true;
    case NPU_METRIC_TEMP_WARN:
      *value = kWarnMillideg;
      return true;
    case NPU_METRIC_TEMP_SHUTDOWN:
      *value = kShutdownMillideg;
      return true;
    case NPU_METRIC_POWER:
      *value = std::llround(power_mw_);
      return true;
    case NPU_METRIC_POWER_CAP:
      *value = profile_.power_limit_mw;
      return true;
    case NPU_METRIC_THROTTLE_REASONS:
      *value = (capped_ ? NPU_THROTTLE_POWER_CAP : 0) |
               (heat() != Heat::kNormal ? NPU_THROTTLE_THERMAL : 0);
      return true;
    default:
      return read_counter(id, value);
  }
}

bool Sensors::read_counter(uint32_t id, int64_t* value) const {
  const auto uptime_ns = static_cast<uint64_t>(host_time_ns() - start_ns_);
  switch (id) {
    case NPU_METRIC_MEMORY_TOTAL:
      *value = clamped(profile_.hbm_bytes);
      return true;
    case NPU_METRIC_ENERGY:
      // mW x ns = pJ; 10^6 pJ are a microjoule.
      *value = std::llround(static_cast<double>(registers_.get(NPU_REG_ENERGY_NJ)) * 1e-3 +
                            static_cast<double>(uptime_ns) * profile_.power_idle_mw * 1e-6);
      return true;
    case NPU_METRIC_LAUNCHES:
      *value = clamped(registers_.get(NPU_REG_LAUNCHES));
      return true;
    case NPU_METRIC_COMMANDS:
      *value = clamped(registers_.get(NPU_REG_COMMANDS));
      return true;
    case NPU_METRIC_DEVICE_TIME:
      *value = clamped(registers_.get(NPU_REG_TIME_PS));
      return true;
    case NPU_METRIC_UPTIME:
      *value = clamped(uptime_ns);
      return true;
    case NPU_METRIC_FAULTS:
      *value = clamped(registers_.get(NPU_REG_FAULTS));
      return true;
    case NPU_METRIC_RESETS:
      *value = clamped(registers_.get(NPU_REG_EPOCH));
      return true;
    default:
      return false;
  }
}

}  // namespace npu::model
