// SPDX-License-Identifier: Apache-2.0
// Chip profiles: TOML files that describe what a device is made of.
//
// A profile is `name`, one integer for each row of NPU_PROFILE_FIELDS, and a table [source] that says for each of them where the number comes
// from ("inferred: why" where nobody has published it). Tables [[port]] may follow (a port of the model that stands for an interface of the host), and a table [network]
// (network/profile.h). Nothing else may stand in it and nothing may be missing.
#ifndef NPU_MODEL_SERVER_PROFILE_H_
#define NPU_MODEL_SERVER_PROFILE_H_

#include <string>
#include <string_view>

#include "firmware-model/device/npu_device.h"
#include "firmware-model/server/port.h"

namespace npu::model::server {

// NPU_PROFILE_FIELD(member and key, least, most, multiple)
#define NPU_PROFILE_FIELDS(NPU_PROFILE_FIELD)                    \
  NPU_PROFILE_FIELD(clusters, 1, 256, 1)                         \
  NPU_PROFILE_FIELD(tiles_per_cluster, 1, 64, 1)                 \
  NPU_PROFILE_FIELD(l1_bytes, 65536, 67108864, 4096)             \
  NPU_PROFILE_FIELD(l2_bytes, 65536, 1073741824, 4096)           \
  NPU_PROFILE_FIELD(acc_bytes, 16384, 16777216, 4096)            \
  NPU_PROFILE_FIELD(core_clock_khz, 1000, 10000000, 1)           \
  NPU_PROFILE_FIELD(mac_per_cycle_bf16, 1, 1048576, 1)           \
  NPU_PROFILE_FIELD(mac_per_cycle_f32, 1, 1048576, 1)            \
  NPU_PROFILE_FIELD(mac_per_cycle_fp8, 1, 1048576, 1)            \
  NPU_PROFILE_FIELD(mac_per_cycle_i8, 1, 1048576, 1)             \
  NPU_PROFILE_FIELD(mac_per_cycle_fp6, 1, 1048576, 1)            \
  NPU_PROFILE_FIELD(mac_per_cycle_fp4, 1, 1048576, 1)            \
  NPU_PROFILE_FIELD(mac_per_cycle_fp8_fp4, 1, 1048576, 1)        \
  NPU_PROFILE_FIELD(vector_lanes, 1, 65536, 1)                   \
  NPU_PROFILE_FIELD(dma_setup_cycles, 0, 1000000, 1)             \
  NPU_PROFILE_FIELD(mm_fill_cycles, 0, 1000000, 1)               \
  NPU_PROFILE_FIELD(vector_setup_cycles, 0, 1000000, 1)          \
  NPU_PROFILE_FIELD(l1_port_bytes_per_cycle, 1, 65536, 1)        \
  NPU_PROFILE_FIELD(l2_bytes_per_cycle, 1, 1048576, 1)           \
  NPU_PROFILE_FIELD(noc_bytes_per_cycle, 1, 1048576, 1)          \
  NPU_PROFILE_FIELD(launch_overhead_ns, 0, 1000000000, 1)        \
  NPU_PROFILE_FIELD(hbm_bytes, 67108864, 1099511627776, 2097152) \
  NPU_PROFILE_FIELD(hbm_mbytes_per_s, 1, 100000000, 1)           \
  NPU_PROFILE_FIELD(host_mbytes_per_s, 1, 100000000, 1)          \
  NPU_PROFILE_FIELD(hbm_clock_khz, 1000, 10000000, 1)            \
  NPU_PROFILE_FIELD(power_idle_mw, 0, 10000000, 1)               \
  NPU_PROFILE_FIELD(power_limit_mw, 1, 10000000, 1)              \
  NPU_PROFILE_FIELD(pj_per_mac_f32, 0, 1000000, 1)               \
  NPU_PROFILE_FIELD(pj_per_mac_bf16, 0, 1000000, 1)              \
  NPU_PROFILE_FIELD(pj_per_hbm_byte, 0, 10000000, 1)             \
  NPU_PROFILE_FIELD(ports, 0, NPU_MAX_PORTS, 1)                  \
  NPU_PROFILE_FIELD(port_mbps, 0, 10000000, 1)                   \
  NPU_PROFILE_FIELD(port_lanes, 0, 64, 1)                        \
  NPU_PROFILE_FIELD(port_neighbours, 0, 15, 1)                   \
  NPU_PROFILE_FIELD(ports_up, 0, NPU_MAX_PORTS, 1)

// False: |error| names the file, the key and what is allowed. |file| is used in messages only. |bindings|: the tables [[port]], not looked up yet
// (resolve_bindings()).
bool parse_profile(std::string_view text, const std::string& file, npu_profile* out,
                   std::vector<PortBinding>* bindings, std::string* error);
bool load_profile(const std::string& file, npu_profile* out, std::vector<PortBinding>* bindings,
                  std::string* error);

// The folder of the profiles: NPU_PROFILE_DIR, else beside the library that this code is in, else the source tree of this build.
std::string profile_directory();

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_PROFILE_H_
