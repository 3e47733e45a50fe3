// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/split.h"

#include <algorithm>

namespace npu::ccl {
namespace {

uint64_t bits_of(const std::vector<bool>& members) {
  uint64_t bits = 0;
  for (size_t i = 0; i < members.size(); i++) bits |= uint64_t{members[i]} << i;
  return bits;
}

// Old ranks of the new communicator, in their new order.
std::vector<uint32_t> order_of(const Split& split, const std::vector<Exchange>& all) {
  std::vector<uint32_t> order;
  for (uint32_t rank = 0; rank < all.size(); rank++) {
    if (split.members[rank] && all[rank].color == split.mine.color) order.push_back(rank);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return all[a].key < all[b].key; });
  return order;
}

void drop(const npuCclId& id) {
  if (const std::optional<Address> address = read_id(id)) take_listener(*address);
}

}  // namespace

npuResult begin_split(const CommunicatorPtr& parent, const std::vector<bool>& members,
                      uint32_t color, uint32_t key, Split* out) {
  *out = {parent, members, {bits_of(members), color, key, {}}};
  NPU_CCL_TRY(make_id(parent->meeting_place(), &out->mine.id));
  return parent->begin_exchange(members, out->mine);
}

npuResult end_split(const Split& split, CommunicatorPtr* out) {
  out->reset();
  std::vector<Exchange> all;
  const npuResult result = split.parent->end_exchange(split.members, split.mine, &all);
  const bool takes_part = result == NPU_OK && split.mine.color != NPU_CCL_NO_COLOR;
  const uint32_t own = split.parent->settings().rank;
  const std::vector<uint32_t> order = takes_part ? order_of(split, all) : std::vector<uint32_t>();
  if (order.empty() || order[0] != own) drop(split.mine.id);
  if (!takes_part) return result;
  const std::optional<Address> address = read_id(all[order[0]].id);
  if (!address) {
    return fail(NPU_ERROR_DEPENDENCY_FAILED, "rank %u sent what is no id", order[0]);
  }
  Settings settings = split.parent->settings();
  settings.address = *address;
  settings.ranks = static_cast<uint32_t>(order.size());
  settings.rank = static_cast<uint32_t>(std::find(order.begin(), order.end(), own) - order.begin());
  return Communicator::create(settings, out);
}

npuResult Communicator::begin_exchange(const std::vector<bool>& members, const Exchange& mine) {
  const std::vector<std::byte> frame = make_frame(FrameKind::kExchange, mine);
  std::lock_guard lock(state_mutex_);
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    if (!members[rank] || rank == settings_.rank) continue;
    if (!links_[rank].is_open || !send_now(links_[rank].peer.control, frame)) {
      return ccl::fail(NPU_ERROR_DEPENDENCY_FAILED, "rank %u is gone", rank);
    }
  }
  return NPU_OK;
}

npuResult Communicator::end_exchange(const std::vector<bool>& members, const Exchange& mine,
                                     std::vector<Exchange>* out) {
  out->assign(settings_.ranks, Exchange{});
  (*out)[settings_.rank] = mine;
  const Deadline deadline = Clock::now() + settings_.init_timeout;
  std::unique_lock lock(state_mutex_);
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    if (!members[rank] || rank == settings_.rank) continue;
    Link& link = links_[rank];
    const bool came = changed_.wait_until(lock, deadline,
                                          [&] { return !link.exchanges.empty() || !link.is_open; });
    if (!came || link.exchanges.empty()) {
      return ccl::fail(NPU_ERROR_DEPENDENCY_FAILED, "rank %u %s", rank,
                       came ? "is gone" : "did not take part in time");
    }
    (*out)[rank] = link.exchanges.front();
    link.exchanges.pop_front();
    if ((*out)[rank].sequence != mine.sequence) {
      return ccl::fail(NPU_ERROR_INVALID_ARGUMENT, "rank %u has called this for other ranks", rank);
    }
  }
  return NPU_OK;
}

}  // namespace npu::ccl
