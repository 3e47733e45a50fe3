// SPDX-License-Identifier: Apache-2.0
// Public functions: ids, communicators, groups.
#include <npu/npu_ccl.h>
#include <npu/npu_memory.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "libnpu/ccl/group.h"
#include "libnpu/ccl/guard.h"
#include "libnpu/ccl/handles.h"
#include "libnpu/ccl/id.h"
#include "libnpu/ccl/split.h"
#include "libnpu/ccl/world.h"

namespace {

using namespace npu::ccl;

constexpr uint32_t kDefaultTimeoutMs = 30'000;
constexpr uint32_t kDefaultHeartbeatMs = 5'000;
constexpr uint32_t kHeartbeatMsMin = 100;
constexpr uint32_t kHeartbeatMsMax = 600'000;
constexpr uint32_t kSendBufferBytesMax = 1 << 30;
constexpr uint64_t kDefaultChunkBytes = 512 << 10;
constexpr uint64_t kChunkBytesMin = 4 << 10;
constexpr uint64_t kChunkBytesMax = 16 << 20;

// A variable of the environment; one that is not set or empty leaves |inout| as it is.
npuResult read_number(const char* name, const char* unit, uint32_t least, uint32_t most,
                      std::optional<uint32_t>* inout) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return NPU_OK;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
  if (error != std::errc() || *end != '\0' || value < least || value > most) {
    return fail(NPU_ERROR_BAD_ENVIRONMENT, "%s is no number of %s from %u to %u", name, unit, least,
                most);
  }
  *inout = value;
  return NPU_OK;
}

npuResult read_settings(const npuCclCommInfo* info, Settings* out) {
  npuCclCommInfo i{};
  NPU_CCL_TRY(read_info(info, &i));
  if (i.reserved != 0 || (i.flags & ~uint32_t{NPU_CCL_NONBLOCKING}) != 0) {
    return fail(NPU_ERROR_RESERVED_NOT_ZERO, "info has a reserved field or an unknown flag set");
  }
  if (i.reduce_mode != NPU_CCL_REDUCE_CANONICAL && i.reduce_mode != NPU_CCL_REDUCE_ANY) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "%d is no reduce_mode", i.reduce_mode);
  }
  const auto ms = [](uint32_t value) {
    return std::chrono::milliseconds(value != 0 ? value : kDefaultTimeoutMs);
  };
  out->init_timeout = ms(i.init_timeout_ms);
  out->op_timeout = ms(i.op_timeout_ms);
  out->reduce_mode = i.reduce_mode;
  out->chunk_bytes = i.chunk_bytes != 0 ? i.chunk_bytes : kDefaultChunkBytes;
  if (!std::has_single_bit(out->chunk_bytes) || out->chunk_bytes < kChunkBytesMin ||
      out->chunk_bytes > kChunkBytesMax) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "chunk_bytes is no power of two in [4 KiB, 16 MiB]");
  }
  if (const char* choice = std::getenv("NPU_CCL_ALGO")) out->choice = choice;
  std::optional<uint32_t> heartbeat_ms = kDefaultHeartbeatMs;
  NPU_CCL_TRY(read_number("NPU_CCL_HEARTBEAT_MS", "milliseconds", kHeartbeatMsMin, kHeartbeatMsMax,
                          &heartbeat_ms));
  out->heartbeat = std::chrono::milliseconds(*heartbeat_ms);
  return read_number("NPU_CCL_SEND_BUFFER", "bytes", 0, kSendBufferBytesMax,
                     &out->send_buffer_bytes);
}

void end(const CommunicatorPtr& communicator) { communicator->close(); }

// A handle for a communicator that starts, in or after the group.
npuResult hand_out(CommunicatorPtr made, bool blocks, npuCclComm* out) {
  npuResult result = add_handle(made, out);
  if (result == NPU_OK && blocks) {
    result = await_start(made);
    CommunicatorPtr taken;
    if (result != NPU_OK) take_handle(std::exchange(*out, nullptr), &taken);
  }
  if (result != NPU_OK) end(made);
  return result;
}

npuResult create(const npuCclId* id, uint32_t ranks, uint32_t rank, npuContext context,
                 const npuCclCommInfo* info, npuCclComm* out) {
  Settings settings;
  NPU_CCL_TRY(read_settings(info, &settings));
  if (id == nullptr || out == nullptr)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "id or out_comm is NULL");
  if (ranks == 0 || ranks > NPU_CCL_RANKS_MAX || rank >= ranks) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "rank %u of %u: a communicator has 1 to %d ranks", rank,
                ranks, NPU_CCL_RANKS_MAX);
  }
  const std::optional<Address> address = read_id(*id);
  if (!address) return fail(NPU_ERROR_INVALID_ARGUMENT, "id was not made by npuCclGetId");
  settings.address = *address;
  settings.context = context;
  settings.ranks = ranks;
  settings.rank = rank;
  CommunicatorPtr made;
  NPU_CCL_TRY(Communicator::create(settings, &made));
  const bool blocks = info == nullptr || (info->flags & NPU_CCL_NONBLOCKING) == 0;
  return hand_out(std::move(made), blocks, out);
}

npuResult split(const CommunicatorPtr& parent, const std::vector<bool>& members, uint32_t color,
                uint32_t key, npuCclComm* out) {
  Split begun;
  NPU_CCL_TRY(begin_split(parent, members, color, key, &begun));
  return later([begun, out] {
    CommunicatorPtr made;
    NPU_CCL_TRY(end_split(begun, &made));
    return made == nullptr ? NPU_OK : hand_out(std::move(made), true, out);
  });
}

}  // namespace

npuResult npuCclGetId(npuCclId* out_id) {
  return guarded([&]() -> npuResult {
    if (out_id == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "out_id is NULL");
    *out_id = {};
    return get_id(out_id);
  });
}

npuResult npuCclGetWorld(uint32_t timeout_ms, npuCclWorld* inout_world) {
  return guarded([&]() -> npuResult {
    if (inout_world == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "inout_world is NULL");
    if (inout_world->struct_size != sizeof(npuCclWorld)) {
      return fail(NPU_ERROR_STRUCT_SIZE, "struct_size is %u, this library knows %zu",
                  inout_world->struct_size, sizeof(npuCclWorld));
    }
    npuCclWorld world{};
    const auto timeout =
        std::chrono::milliseconds(timeout_ms != 0 ? timeout_ms : kDefaultTimeoutMs);
    const npuResult result = get_world(timeout, &world);
    if (result != NPU_OK) world = {};
    world.struct_size = sizeof(world);
    *inout_world = world;
    return result;
  });
}

npuResult npuCclCommCreate(const npuCclId* id, uint32_t ranks, uint32_t rank, npuContext context,
                           const npuCclCommInfo* info, npuCclComm* out_comm) {
  return guarded([&] {
    if (out_comm != nullptr) *out_comm = nullptr;
    return create(id, ranks, rank, context, info, out_comm);
  });
}

npuResult npuCclCommDestroy(npuCclComm comm) {
  return guarded([&]() -> npuResult {
    if (comm == nullptr) return NPU_OK;
    CommunicatorPtr communicator;
    NPU_CCL_TRY(take_handle(comm, &communicator));
    return communicator->close();
  });
}

npuResult npuCclCommAbort(npuCclComm comm) {
  return guarded([&]() -> npuResult {
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    const uint32_t rank = communicator->settings().rank;
    communicator->fail_with(
        {NPU_CCL_ABORTED, rank, "rank " + std::to_string(rank) + " called npuCclCommAbort"}, true);
    return NPU_OK;
  });
}

npuResult npuCclCommGetState(npuCclComm comm, npuCclState* out_state) {
  return guarded([&]() -> npuResult {
    CommunicatorPtr communicator;
    if (out_state == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "out_state is NULL");
    *out_state = NPU_CCL_INIT;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    *out_state = communicator->state();
    return NPU_OK;
  });
}

npuResult npuCclCommGetRank(npuCclComm comm, uint32_t* out_ranks, uint32_t* out_rank) {
  return guarded([&]() -> npuResult {
    CommunicatorPtr communicator;
    const npuResult result = find_handle(comm, &communicator);
    const bool found = result == NPU_OK;
    if (out_ranks != nullptr) *out_ranks = found ? communicator->settings().ranks : 0;
    if (out_rank != nullptr) *out_rank = found ? communicator->settings().rank : 0;
    return result;
  });
}

npuResult npuCclCommGetError(npuCclComm comm, npuCclFailure* inout_failure) {
  return guarded([&]() -> npuResult {
    if (inout_failure == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "inout_failure is NULL");
    npuCclFailure answer{};
    NPU_CCL_TRY(read_info(inout_failure, &answer));
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    const Failure failure = communicator->failure();
    answer = {inout_failure->struct_size, failure.reason, failure.rank, 0, {}};
    failure.text.copy(answer.text, sizeof(answer.text) - 1);
    std::memcpy(inout_failure, &answer, answer.struct_size);
    return NPU_OK;
  });
}

npuResult npuCclCommGetRail(npuCclComm comm, uint32_t rank, uint32_t number,
                            npuCclRail* inout_rail) {
  return guarded([&]() -> npuResult {
    if (inout_rail == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "inout_rail is NULL");
    npuCclRail answer{};
    NPU_CCL_TRY(read_info(inout_rail, &answer));
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    const uint32_t ranks = communicator->settings().ranks;
    if (rank >= ranks) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "there is no rank %u of %u", rank, ranks);
    }
    std::vector<Network::RailState> rails;
    NPU_CCL_TRY(communicator->rails(rank, &rails));
    if (number >= rails.size()) {
      return fail(NPU_ERROR_NOT_FOUND, "there are %zu rails to rank %u", rails.size(), rank);
    }
    const Network::RailState& rail = rails[number];
    answer = {inout_rail->struct_size, rail.is_up, rail.bytes_sent, rail.downs, {}, {}, {}};
    rail.own.text().copy(answer.own_address, sizeof(answer.own_address) - 1);
    rail.other.text().copy(answer.other_address, sizeof(answer.other_address) - 1);
    rail.reason.copy(answer.reason, sizeof(answer.reason) - 1);
    std::memcpy(inout_rail, &answer, answer.struct_size);
    return NPU_OK;
  });
}

const char* npuCclGetErrorText(void) { return error_text(); }

npuResult npuCclCommSplit(npuCclComm comm, uint32_t color, uint32_t key, npuCclComm* out_comm) {
  return guarded([&]() -> npuResult {
    if (out_comm == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "out_comm is NULL");
    *out_comm = nullptr;
    CommunicatorPtr parent;
    NPU_CCL_TRY(find_handle(comm, &parent));
    NPU_CCL_TRY(parent->usable());
    return split(parent, std::vector<bool>(parent->settings().ranks, true), color, key, out_comm);
  });
}

npuResult npuCclCommShrink(npuCclComm comm, uint32_t excluded_count, const uint32_t* excluded,
                           npuCclComm* out_comm) {
  return guarded([&]() -> npuResult {
    if (out_comm == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "out_comm is NULL");
    *out_comm = nullptr;
    CommunicatorPtr parent;
    NPU_CCL_TRY(find_handle(comm, &parent));
    const Settings& settings = parent->settings();
    std::vector<bool> members(settings.ranks, true);
    for (uint32_t i = 0; i < excluded_count; i++) {
      if (excluded == nullptr || excluded[i] >= settings.ranks || excluded[i] == settings.rank) {
        return fail(NPU_ERROR_INVALID_ARGUMENT, "excluded[%u] is no other rank", i);
      }
      members[excluded[i]] = false;
    }
    return split(parent, members, 0, 0, out_comm);
  });
}

npuResult npuCclGroupStart(void) {
  return guarded([]() -> npuResult {
    group_start();
    return NPU_OK;
  });
}

npuResult npuCclGroupEnd(void) {
  return guarded([] { return group_end(); });
}

npuResult npuCclRedOpCreatePreMulSum(npuCclComm comm, float factor, npuCclRedOp* out_op) {
  return guarded([&]() -> npuResult {
    if (out_op == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "out_op is NULL");
    *out_op = 0;
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    return communicator->add_factor(factor, out_op);
  });
}

npuResult npuCclRedOpDestroy(npuCclComm comm, npuCclRedOp op) {
  return guarded([&]() -> npuResult {
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    return communicator->remove_factor(op);
  });
}
