// SPDX-License-Identifier: Apache-2.0
// DEV_QUERY: how many elements there are, and those members that belong to the device and not to the machine around it.
#include <unistd.h>

#include <algorithm>

#include "tests/uapi/parity/session.h"
#include "uapi/npu_metrics.h"

namespace npu::parity {
namespace {

template <typename T>
std::vector<T> query(Session& session, uint32_t type, uint32_t room) {
  npu_dev_query args{};
  args.type = type;
  const ArrayArg out = make_array(&args.out, &args, std::vector<T>(room), true);
  session.must(NPU_CALL_DEV_QUERY, &args, {out});
  std::vector<T> rows(std::min(room, args.out.count));
  if (!rows.empty()) {
    std::memcpy(static_cast<void*>(rows.data()), out.memory->data(), rows.size() * sizeof(T));
  }
  return rows;
}

void log_device(Session& session) {
  const auto rows = query<npu_dev_info>(session, NPU_QUERY_DEVICE, 1);
  Log& log = session.log();
  log.add("query.device.count", number(rows.size()));
  const npu_dev_info& info = rows.at(0);
  log.add("query.device.name", std::string(info.name, strnlen(info.name, sizeof info.name)));
  log.add("query.device.uapi", number(info.uapi_major) + "." + number(info.uapi_minor));
  log.add("query.device.fw_abi", number(info.fw_abi_major) + "." + number(info.fw_abi_minor));
  log.add("query.device.isa", number(info.isa_major) + "." + number(info.isa_minor));
  log.add("query.device.shape", number(info.clusters) + " x " + number(info.tiles_per_cluster));
  log.add("query.device.scratchpads",
          number(info.l1_bytes) + " " + number(info.l2_bytes) + " " + number(info.acc_bytes));
  log.add("query.device.hbm_bytes", number(info.hbm_bytes));
  log.add("query.device.page_sizes", number(info.page_sizes));
  log.add("query.device.va_bits", number(info.va_bits));
  log.add("query.device.doorbell_page_bytes", number(info.doorbell_page_bytes));
  log.add("query.device.clocks", number(info.core_clock_khz) + " " + number(info.hbm_clock_khz));
  log.add("query.device.health", number(info.health));
  log.add("query.device.index", number(info.index));
  log.add("query.device.ports", number(info.ports));
  log.add("query.device.features", number(info.features[0]) + " " + number(info.features[1]));
  log.add("query.device.is_on_pci", info.pci_vendor != 0 ? "yes" : "no");
}

void log_limits(Session& session) {
  const npu_limits l = query<npu_limits>(session, NPU_QUERY_LIMITS, 1).at(0);
  Log& log = session.log();
  log.add("query.limits.va_end", number(l.va_end));
#define LIMIT(member) log.add("query.limits." #member, number(l.member))
  LIMIT(vms_max);
  LIMIT(bos_max);
  LIMIT(notifies_max);
  LIMIT(bind_ops_max);
  LIMIT(wait_conditions_max);
  LIMIT(copy_ops_max);
  LIMIT(perf_counters_max);
  LIMIT(ring_log2_min);
  LIMIT(ring_log2_max);
  LIMIT(timeout_ms_default);
  LIMIT(timeout_ms_max);
#undef LIMIT
}

void log_lists(Session& session) {
  Log& log = session.log();
  for (const npu_engine_info& row : query<npu_engine_info>(session, NPU_QUERY_ENGINES, 16)) {
    log.add("query.engines." + number(row.engine_class) + "." + number(row.instance),
            "cluster " + number(row.cluster) + " tiles " + number(row.tiles) + " align " +
                number(row.ring_align_bytes));
  }
  for (const npu_region_info& row : query<npu_region_info>(session, NPU_QUERY_REGIONS, 16)) {
    const bool sound = row.free_bytes <= row.size_bytes && row.largest_free_bytes <= row.free_bytes;
    log.add("query.regions." + number(row.region) + "." + number(row.instance),
            "page " + number(row.page_bytes) + (sound ? " sound" : " UNSOUND"));
  }
  const auto ports = query<npu_port_info>(session, NPU_QUERY_PORTS, 16);
  log.add("query.ports.count", number(ports.size()));
  for (const npu_port_info& row : ports) {
    log.add("query.ports." + number(row.index),
            "state " + number(row.state) + " speed " + number(row.speed_mbps) + " lanes " +
                number(row.lanes) + " flags " + number(row.flags));
  }
  const auto metrics = query<npu_metric>(session, NPU_QUERY_METRICS, 256);
  log.add("query.metrics.count", number(metrics.size()));
  for (const npu_metric& row : metrics) {
    const bool one_flag = __builtin_popcount(row.flags) == 1;
    const bool sound = one_flag && (row.flags == NPU_METRIC_FLAG_VALID || row.value == 0);
    log.add("query.metrics." + number(row.id), sound ? "sound" : "UNSOUND");
  }
}

// Whoever runs this sees at least itself, once however many files it has open.
void log_clients(Session& session, Road* road) {
  Session second(road, &session.log());
  second.vm();
  uint32_t rows = 0;
  uint32_t vms = 0;
  for (const npu_client_info& row : query<npu_client_info>(session, NPU_QUERY_CLIENTS, 64)) {
    if (row.pid != static_cast<uint32_t>(getpid())) continue;
    rows++;
    vms += row.vms;
  }
  session.log().add("query.clients.own_rows", number(rows));
  session.log().add("query.clients.own_vms", number(vms));
}

}  // namespace

void run_queries(Road* road, Log* log) {
  Session session(road, log);
  log_device(session);
  log_limits(session);
  log_lists(session);
  log_clients(session, road);
  for (uint32_t type = 0; type <= NPU_QUERY_COUNT; type++) {
    npu_dev_query count{};
    count.type = type;
    session.logged("query.count_only." + number(type), NPU_CALL_DEV_QUERY, &count);
  }
  // A wider element than the device knows: what it does not know is zero.
  npu_dev_query wide{};
  wide.type = NPU_QUERY_LIMITS;
  ArrayArg out = make_array(&wide.out, &wide, std::vector<npu_limits>(1), true);
  wide.out.stride = sizeof(npu_limits) + 64;
  out.memory->assign(wide.out.stride, 0xee);
  session.logged("query.wide", NPU_CALL_DEV_QUERY, &wide, {out});
  const bool zero = std::all_of(out.memory->end() - 64, out.memory->end(),
                                [](uint8_t byte) { return byte == 0; });
  log->add("query.wide.tail", zero ? "zero" : "NOT ZERO");
}

}  // namespace npu::parity
