// SPDX-License-Identifier: Apache-2.0
// DEV_QUERY, PERF_OPEN, and the calls that need NIC ports.
#include <algorithm>

#include "firmware-model/server/client.h"
#include "uapi/npu_validate.h"

namespace npu::model::server {

int Client::query_engines(Call& call, npu_dev_query& args) {
  const npu_dev_info info = device_->info();
  npu_engine_info compute{};
  compute.engine_class = NPU_QUEUE_COMPUTE;
  compute.cluster = ~0u;
  compute.tiles = info.clusters * info.tiles_per_cluster;
  compute.queues_max = device_->queues().count();
  compute.queues_used = device_->queues().used();
  compute.ring_align_bytes = NPU_PAGE_4K;
  compute.busy_ns = device_->reg(NPU_REG_BUSY_PS) / 1000;
  npu_engine_info copy = compute;
  copy.engine_class = NPU_QUEUE_COPY;
  copy.tiles = 0;
  copy.busy_ns = 0;
  return call.write_array(&args.out, std::vector<npu_engine_info>{compute, copy});
}

int Client::query_regions(Call& call, npu_dev_query& args) {
  npu_region_info system{};
  system.region = NPU_REGION_SYSTEM;
  system.size_bytes = device_->limits().pinned_bytes_max;
  system.free_bytes = account_->left(Resource::kSystemBytes);
  system.largest_free_bytes = system.free_bytes;
  system.cpu_visible_bytes = system.size_bytes;
  system.page_bytes = NPU_PAGE_4K;
  npu_region_info hbm{};
  hbm.region = NPU_REGION_HBM;
  hbm.size_bytes = device_->hbm().total_bytes();
  hbm.free_bytes = device_->hbm().free_bytes();
  // An object may consist of many pieces: all that is free, as far as the user's quota goes.
  hbm.largest_free_bytes = std::min<uint64_t>(hbm.free_bytes, account_->left(Resource::kHbmBytes));
  hbm.cpu_visible_bytes = hbm.size_bytes;
  hbm.page_bytes = NPU_PAGE_64K;
  return call.write_array(&args.out, std::vector<npu_region_info>{system, hbm});
}

int Client::dev_query(Call& call, npu_dev_query& args) {
  switch (args.type) {
    case NPU_QUERY_DEVICE:
      return call.write_array(&args.out, std::vector<npu_dev_info>{device_->info()});
    case NPU_QUERY_ENGINES:
      return query_engines(call, args);
    case NPU_QUERY_REGIONS:
      device_->collect();
      return query_regions(call, args);
    case NPU_QUERY_PORTS:
      return call.write_array(&args.out, device_->ports());
    case NPU_QUERY_LIMITS:
      return call.write_array(&args.out, std::vector<npu_limits>{device_->limits()});
    case NPU_QUERY_METRICS:
      device_->collect();
      return call.write_array(&args.out, device_->metrics().all());
    case NPU_QUERY_CLIENTS:
      return call.write_array(&args.out, host_->client_rows(device_, peer_.uid));
    default:
      return EINVAL;
  }
}

// No queue of this model drives a port; NPU_FEATURE_PORTS says so.
int Client::mr_create(Call&, npu_mr_create&) { return EOPNOTSUPP; }
int Client::mr_destroy(Call&, npu_mr_destroy&) { return EOPNOTSUPP; }

int Client::perf_open(Call& call, npu_perf_open& args) {
  std::vector<npu_perf_counter> counters;
  int err = call.read_array(args.counters, &counters);
  if (err != 0) return err;
  std::vector<uint32_t> ids;
  for (const npu_perf_counter& counter : counters) {
    err = -npu_validate_perf_counter(&counter, &device_->limits());
    if (err != 0) return err;
    ids.push_back(counter.metric_id);
  }
  PerfStream stream;
  UniqueFd reader;
  args.record_bytes = static_cast<uint32_t>(sizeof(npu_perf_record) + 8 * ids.size());
  err =
      stream.open(device_, account_, static_cast<int64_t>(args.period_ns), std::move(ids), &reader);
  if (err != 0) return err;
  perf_.push_back(std::move(stream));
  args.fd = call.give_fd(std::move(reader));
  host_->timer_changed();
  return 0;
}

}  // namespace npu::model::server
