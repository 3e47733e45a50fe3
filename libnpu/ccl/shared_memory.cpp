// SPDX-License-Identifier: Apache-2.0
// Making, exporting and mapping the memory that ranks share.
#include "libnpu/ccl/shared_memory.h"

#include <npu/npu_device.h>

#include <atomic>
#include <cstring>
#include <string>

#include "libnpu/ccl/error.h"

namespace npu::ccl {
namespace {

constexpr uint64_t kPageBytes = 64 << 10;  // of exported HBM; more than enough for host memory

uint64_t whole_pages(uint64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

template <typename Number>
void store(Number& place, Number value) {
  std::atomic_ref<Number>(place).store(value, std::memory_order_relaxed);
}
template <typename Number>
Number load(const Number& place) {
  return std::atomic_ref<Number>(const_cast<Number&>(place)).load(std::memory_order_relaxed);
}

// True if kernels and copies of |device| reach the HBM of every device of this machine.
bool reaches_all(npuDevice device) {
  uint32_t count = 0;
  if (npuDeviceGetCount(&count) != NPU_OK) return false;
  for (uint32_t i = 0; i < count; i++) {
    npuDevice peer = nullptr;
    if (npuDeviceOpen(std::to_string(i).c_str(), &peer) != NPU_OK) return false;
    npuPeerAccess access = NPU_PEER_NONE;
    const npuResult result = npuDeviceCanAccessPeer(device, peer, &access);
    npuDeviceClose(peer);
    if (result != NPU_OK || access != NPU_PEER_MAPPED) return false;
  }
  return true;
}

// What the choice of memory depends on.
struct Surroundings {
  npuMemKind slots = NPU_MEM_HOST;
  int64_t model_process = 0;
  bool is_model = false;
};

Surroundings surroundings_of(npuContext context) {
  Surroundings found;
  npuMemInfo info{};
  info.struct_size = sizeof(info);
  npuDevice device = nullptr;
  if (npuMemQuery(context, 0, &info) != NPU_OK ||
      npuDeviceOpen(std::to_string(info.device_index).c_str(), &device) != NPU_OK) {
    return found;
  }
  if (reaches_all(device)) found.slots = NPU_MEM_DEVICE;
  npuDeviceGetCapability(device, "model.process", &found.model_process);
  int64_t is_virtual = 0;
  npuDeviceGetCapability(device, "is_virtual", &is_virtual);
  found.is_model = is_virtual != 0;
  npuDeviceClose(device);
  return found;
}

// |also| writes or reads what belongs to the record, between the two looks at its number.
template <typename Also>
void write_record(Record* place, const Record& record, const Also& also) {
  store(place->sequence, uint64_t{0});
  also();
  store(place->count, record.count);
  store(place->counts, record.counts);
  store(place->op, record.op);
  store(place->type, record.type);
  store(place->reduction, record.reduction);
  store(place->root, record.root);
  // pairs with shared_memory.cpp : read_record
  std::atomic_ref<uint64_t>(place->sequence).store(record.sequence, std::memory_order_release);
  // Of two ranks that write their records and then look at each other's, one at least sees the other's.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

template <typename Also>
bool read_record(const Record* place, uint64_t sequence, Record* out, const Also& also) {
  std::atomic_ref<uint64_t> number(const_cast<uint64_t&>(place->sequence));
  // pairs with shared_memory.cpp : write_record
  if (number.load(std::memory_order_acquire) != sequence) return false;
  *out = {sequence,          load(place->count),     load(place->counts), load(place->op),
          load(place->type), load(place->reduction), load(place->root)};
  also();
  std::atomic_thread_fence(std::memory_order_acquire);
  return number.load(std::memory_order_relaxed) == sequence;
}

}  // namespace

void write_record(Record* place, const Record& record) {
  write_record(place, record, [] {});
}

bool read_record(const Record* place, uint64_t sequence, Record* out) {
  return read_record(place, sequence, out, [] {});
}

void write_called(Board* board, const Called& called) {
  Called& place = board->collectives[called.record.sequence % kRecordedCollectives];
  write_record(&place.record, called.record, [&] {
    store(place.placed.send_window, called.placed.send_window);
    store(place.placed.recv_window, called.placed.recv_window);
    store(place.placed.send_offset, called.placed.send_offset);
    store(place.placed.recv_offset, called.placed.recv_offset);
  });
}

bool read_called(const Board& board, uint64_t sequence, Called* out) {
  const Called& called = board.collectives[sequence % kRecordedCollectives];
  const Placed& place = called.placed;
  return read_record(&called.record, sequence, &out->record, [&] {
    out->placed = {load(place.send_window), load(place.recv_window), load(place.send_offset),
                   load(place.recv_offset)};
  });
}

uint64_t read_word(const Board::Word& word) {
  // pairs with firmware-model/device/command.cpp : CommandRunner::sem_signal
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(word.value))
      .load(std::memory_order_acquire);
}

void write_word(Board::Word* word, uint64_t value) {
  // pairs with firmware-model/device/command.cpp : CommandRunner::sem_wait
  std::atomic_ref<uint64_t>(word->value).store(value, std::memory_order_release);
}

SharedMemory::~SharedMemory() {
  for (const Rank& rank : ranks_) {
    if (rank.board_dva != 0) npuMemFree(context_, rank.board_dva);
    if (rank.slots_dva != 0) npuMemFree(context_, rank.slots_dva);
  }
}

npuResult SharedMemory::map_board(Rank& rank) {
  void* host = nullptr;
  NPU_CCL_TRY(passed_on(npuMemMap(context_, rank.board_dva, sizeof(Board), &host)));
  rank.board = static_cast<Board*>(host);
  return NPU_OK;
}

npuResult SharedMemory::create(npuContext context, uint32_t ranks, uint32_t rank,
                               uint64_t chunk_bytes) {
  context_ = context;
  own_ = rank;
  chunk_bytes_ = chunk_bytes;
  ranks_.resize(ranks);
  Rank& own = ranks_[rank];
  NPU_CCL_TRY(passed_on(npuMemAlloc(context, NPU_MEM_HOST | NPU_MEM_EXPORTABLE,
                                    whole_pages(sizeof(Board)), &own.board_dva)));
  const Surroundings surroundings = surroundings_of(context);
  slots_kind_ = surroundings.slots;
  model_process_ = surroundings.model_process;
  is_on_model_ = surroundings.is_model;
  NPU_CCL_TRY(passed_on(npuMemAlloc(context, slots_kind_ | NPU_MEM_EXPORTABLE,
                                    whole_pages(slots_bytes()), &own.slots_dva)));
  NPU_CCL_TRY(map_board(own));
  store(own.board->model_process, model_process_);
  return NPU_OK;
}

npuResult SharedMemory::export_fds(std::vector<Fd>* out) const {
  for (npuDevPtr ptr : {own().board_dva, own().slots_dva}) {
    int fd = -1;
    NPU_CCL_TRY(passed_on(npuMemExportFd(context_, ptr, &fd, nullptr)));
    out->emplace_back(fd);
  }
  return NPU_OK;
}

npuResult SharedMemory::import(uint32_t rank, const std::vector<Fd>& fds) {
  Rank& peer = ranks_[rank];
  NPU_CCL_TRY(passed_on(npuMemImportFd(context_, fds[0].get(), 0, whole_pages(sizeof(Board)),
                                       NPU_MEM_READONLY, &peer.board_dva)));
  NPU_CCL_TRY(passed_on(npuMemImportFd(context_, fds[1].get(), 0, whole_pages(slots_bytes()),
                                       NPU_MEM_READONLY, &peer.slots_dva)));
  NPU_CCL_TRY(map_board(peer));
  if (model_process_ == 0 || load(peer.board->model_process) != model_process_) {
    has_strangers_.store(true, std::memory_order_relaxed);
  }
  return NPU_OK;
}

npuResult SharedMemory::mirror(uint32_t rank) {
  Rank& peer = ranks_[rank];
  void* slots = nullptr;
  NPU_CCL_TRY(passed_on(npuMemAlloc(context_, NPU_MEM_HOST, sizeof(Board), &peer.board_dva)));
  NPU_CCL_TRY(map_board(peer));
  std::memset(peer.board, 0, sizeof(Board));
  NPU_CCL_TRY(passed_on(npuMemAlloc(context_, slots_kind_, mirror_bytes(), &peer.slots_dva)));
  NPU_CCL_TRY(passed_on(npuMemMap(context_, peer.slots_dva, mirror_bytes(), &slots)));
  peer.slots_host = static_cast<std::byte*>(slots);
  peer.is_mirror = true;
  return NPU_OK;
}

bool SharedMemory::has_room(uint32_t target, uint64_t sequence) const {
  return read_word(own().board->sent[target]) + 1 == sequence &&
         read_word(ranks_[target].board->taken[own_]) + kSlots >= sequence;
}

npuResult SharedMemory::fill(uint32_t target, uint64_t sequence, npuDevPtr from,
                             uint64_t bytes) const {
  std::byte* const slot =
      own().slots_host + (uint64_t{target} * kSlots + sequence % kSlots) * chunk_bytes_;
  return npuMemCopyToHost(context_, slot, from, bytes);
}

void SharedMemory::show_sent(uint32_t target, uint64_t sequence) const {
  write_word(&own().board->sent[target], sequence);
}

std::byte* SharedMemory::view(npuDevPtr from, uint64_t bytes) const {
  void* host = nullptr;
  if (!is_on_model_ || npuMemMap(context_, from, bytes, &host) != NPU_OK) return nullptr;
  return static_cast<std::byte*>(host);
}

npuResult SharedMemory::map_slots() {
  void* slots = nullptr;
  NPU_CCL_TRY(passed_on(npuMemMap(context_, own().slots_dva, slots_bytes(), &slots)));
  ranks_[own_].slots_host = static_cast<std::byte*>(slots);
  return NPU_OK;
}

}  // namespace npu::ccl
