// SPDX-License-Identifier: Apache-2.0
// Metrics: rates from counters, and a first-order thermal model.
#include "firmware-model/server/metrics.h"

#include <time.h>

#include <algorithm>
#include <cmath>

#include "firmware-model/server/device.h"

namespace npu::model::server {
namespace {

// A package under liquid or forced-air cooling: at its power limit the die settles 50 K above the coolant. Inferred; no
// vendor publishes the thermal resistance of these chips.
constexpr double kCoolantC = 35.0;
constexpr double kDieRiseC = 50.0;
constexpr double kHbmRiseC = 42.0;
constexpr double kDieTauSeconds = 8.0;
constexpr double kHbmTauSeconds = 15.0;
constexpr int64_t kWarnMillideg = 95'000;
constexpr int64_t kShutdownMillideg = 105'000;

npu_metric valid(uint32_t id, double value) {
  return {id, NPU_METRIC_FLAG_VALID, static_cast<int64_t>(std::llround(value))};
}

npu_metric valid_u64(uint32_t id, uint64_t value) {
  return {id, NPU_METRIC_FLAG_VALID, static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX))};
}

// One step of a first-order low-pass towards |target|.
double settle(double now, double target, double seconds, double tau) {
  return target + (now - target) * std::exp(-seconds / tau);
}

}  // namespace

int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Metrics::Metrics(Device* device) : device_(device), start_ns_(monotonic_ns()), last_(take()) {
  const npu_profile& p = device_->profile();
  rates_.power_mw = p.power_idle_mw;
  const double load = p.power_limit_mw == 0 ? 0 : 1.0 * p.power_idle_mw / p.power_limit_mw;
  die_c_ = kCoolantC + kDieRiseC * load;
  hbm_c_ = kCoolantC + kHbmRiseC * load;
}

Metrics::Sample Metrics::take() const {
  return {.wall_ns = monotonic_ns(),
          .busy_wall_ns = device_->reg(NPU_REG_BUSY_WALL_NS),
          .busy_ps = device_->reg(NPU_REG_BUSY_PS),
          .bytes_moved = device_->reg(NPU_REG_BYTES_MOVED),
          .energy_nj = device_->reg(NPU_REG_ENERGY_NJ)};
}

void Metrics::refresh() {
  const Sample now = take();
  const int64_t wall_ns = now.wall_ns - last_.wall_ns;
  if (wall_ns < kWindowNs) return;
  const npu_profile& p = device_->profile();
  const double wall = static_cast<double>(wall_ns);
  const double busy_ps = static_cast<double>(now.busy_ps - last_.busy_ps);
  rates_.core = std::min(1.0, static_cast<double>(now.busy_wall_ns - last_.busy_wall_ns) / wall);
  double traffic = 0;
  double busy_mw = 0;
  if (busy_ps > 0) {
    // 10^6 bytes a second are 10^-6 bytes a picosecond.
    const double peak = static_cast<double>(p.hbm_mbytes_per_s) * 1e-6 * busy_ps;
    traffic = std::min(1.0, static_cast<double>(now.bytes_moved - last_.bytes_moved) / peak);
    // nJ / ps = kW = 10^6 mW
    busy_mw = static_cast<double>(now.energy_nj - last_.energy_nj) / busy_ps * 1e6;
  }
  rates_.memory = traffic * rates_.core;
  const double power = p.power_idle_mw + busy_mw * rates_.core;
  rates_.capped = power > p.power_limit_mw;
  rates_.power_mw = std::min<double>(power, p.power_limit_mw);
  const double load = p.power_limit_mw == 0 ? 0 : rates_.power_mw / p.power_limit_mw;
  const double seconds = wall * 1e-9;
  die_c_ = settle(die_c_, kCoolantC + kDieRiseC * load, seconds, kDieTauSeconds);
  hbm_c_ = settle(hbm_c_, kCoolantC + kHbmRiseC * load, seconds, kHbmTauSeconds);
  last_ = now;
}

npu_metric Metrics::read_sensor(uint32_t id) const {
  const npu_profile& p = device_->profile();
  switch (id) {
    case NPU_METRIC_UTIL_CORE:
      return valid(id, rates_.core * 10000);
    case NPU_METRIC_UTIL_MEMORY:
      return valid(id, rates_.memory * 10000);
    case NPU_METRIC_CORE_CLOCK:
    case NPU_METRIC_CORE_CLOCK_MAX:
      return valid_u64(id, p.core_clock_khz);
    case NPU_METRIC_MEMORY_CLOCK:
    case NPU_METRIC_MEMORY_CLOCK_MAX:
      return valid_u64(id, p.hbm_clock_khz);
    case NPU_METRIC_TEMP_DIE:
      return valid(id, die_c_ * 1000);
    case NPU_METRIC_TEMP_HBM:
      return valid(id, hbm_c_ * 1000);
    case NPU_METRIC_TEMP_WARN:
      return valid_u64(id, kWarnMillideg);
    case NPU_METRIC_TEMP_SHUTDOWN:
      return valid_u64(id, kShutdownMillideg);
    case NPU_METRIC_POWER:
      return valid(id, rates_.power_mw);
    case NPU_METRIC_POWER_CAP:
      return valid_u64(id, p.power_limit_mw);
    case NPU_METRIC_THROTTLE_REASONS:
      return valid_u64(id, rates_.capped ? NPU_THROTTLE_POWER_CAP : 0);
    default:
      return {id, NPU_METRIC_FLAG_UNSUPPORTED, 0};
  }
}

npu_metric Metrics::read(uint32_t id) const {
  Device& d = *device_;
  const uint64_t uptime_ns = static_cast<uint64_t>(monotonic_ns() - start_ns_);
  switch (id) {
    case NPU_METRIC_MEMORY_TOTAL:
      return valid_u64(id, d.hbm().total_bytes());
    case NPU_METRIC_MEMORY_USED:
      return valid_u64(id, d.object_bytes);
    case NPU_METRIC_MEMORY_RESERVED:
      return valid_u64(id, d.hbm().total_bytes() - d.hbm().free_bytes() - d.object_bytes);
    case NPU_METRIC_ENERGY:
      // mW x ns = pJ; 10^6 pJ are a microjoule.
      return valid(id, static_cast<double>(d.reg(NPU_REG_ENERGY_NJ)) * 1e-3 +
                           static_cast<double>(uptime_ns) * d.profile().power_idle_mw * 1e-6);
    case NPU_METRIC_LAUNCHES:
      return valid_u64(id, d.reg(NPU_REG_LAUNCHES));
    case NPU_METRIC_COMMANDS:
      return valid_u64(id, d.reg(NPU_REG_COMMANDS));
    case NPU_METRIC_DEVICE_TIME:
      return valid_u64(id, d.reg(NPU_REG_TIME_PS));
    case NPU_METRIC_UPTIME:
      return valid_u64(id, uptime_ns);
    case NPU_METRIC_QUEUES_USED:
      return valid_u64(id, d.queues().used());
    case NPU_METRIC_CONTEXTS_USED:
      return valid_u64(id, d.contexts().used());
    case NPU_METRIC_FAULTS:
      return valid_u64(id, d.reg(NPU_REG_FAULTS));
    case NPU_METRIC_RESETS:
      return valid_u64(id, d.epoch());
    default:
      return read_sensor(id);
  }
}

std::vector<npu_metric> Metrics::all() {
  refresh();
  std::vector<npu_metric> rows;
  rows.reserve(NPU_METRIC_COUNT);
#define NPU_METRIC(id, NAME, key, unit, kind, exporter, doc) rows.push_back(read(id));
#include "uapi/spec/metrics.def"
  return rows;
}

npu_metric Metrics::one(uint32_t id) {
  refresh();
  return read(id);
}

}  // namespace npu::model::server
