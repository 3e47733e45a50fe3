// SPDX-License-Identifier: Apache-2.0
// Actions on memory: each makes what it needs, checks every byte, and gives everything back.
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <iterator>
#include <vector>

#include "tests/soak/session.h"

namespace npu::soak {
namespace {

using Pool = Own<npuMemPool, npuMemPoolDestroy>;
using Handle = Own<npuMemHandle, npuMemDestroy>;

uint32_t some_word(Session& s) { return static_cast<uint32_t>(s.rng.next()); }
uint64_t some_bytes(Session& s) {
  return 4 * (1 + s.rng.below(s.rng.of<uint64_t>({64, 4096, 65536})));
}

void allocate_and_fill(Session& s) {
  const uint64_t bytes = some_bytes(s);
  const Memory memory(s, bytes, s.rng.percent(70) ? NPU_MEM_DEVICE : NPU_MEM_HOST);
  if (!memory) return;
  expect_words(s, s.context, memory.at, 0, bytes, "new memory reads as zero");
  const uint32_t word = some_word(s);
  s.must(fill(s.queue, memory.at, word, bytes), "npuQueueFill");
  s.must(npuQueueSync(s.queue, kLongNs), "npuQueueSync");
  expect_words(s, s.context, memory.at, word, bytes, "a fill reaches every word");
}

// The memory is given back while the device still has to fill it: nobody else gets it before.
void free_under_work(Session& s) {
  const uint64_t bytes = some_bytes(s);
  for (int i = 0; i < 4; i++) {
    npuDevPtr at = 0;
    if (!s.good(npuMemAlloc(s.context, NPU_MEM_DEVICE, bytes, &at), "npuMemAlloc")) return;
    s.must(fill(s.queue, at, some_word(s), bytes), "npuQueueFill");
    s.must(npuMemFree(s.context, at), "npuMemFree");
  }
}

void copy_there_and_back(Session& s) {
  const uint64_t bytes = some_bytes(s);
  const Memory a(s, bytes);
  const Memory b(s, bytes);
  if (!a || !b) return;
  std::vector<unsigned char> in(bytes);
  std::vector<unsigned char> out(bytes);
  for (unsigned char& byte : in) byte = static_cast<unsigned char>(s.rng.next());
  s.must(npuMemCopyToDevice(s.context, a.at, in.data(), bytes), "npuMemCopyToDevice");
  uint64_t value = 0;
  s.must(npuQueueCopy(s.queue, b.at, a.at, bytes, &value), "npuQueueCopy");
  s.must(npuQueueWait(s.queue, value, kLongNs), "npuQueueWait");
  s.must(npuMemCopyToHost(s.context, out.data(), b.at, bytes), "npuMemCopyToHost");
  s.expect(in == out, "a copy there and back is the same");
}

void pool(Session& s) {
  Pool pool(s);
  if (!s.good(npuMemPoolCreate(s.context, nullptr, &pool.handle), "npuMemPoolCreate")) return;
  for (int i = 0; i < 6; i++) {
    const uint64_t bytes = some_bytes(s);
    npuDevPtr at = 0;
    if (!s.good(npuMemAllocAsync(pool.handle, s.queue, bytes, &at), "npuMemAllocAsync")) return;
    const uint32_t word = some_word(s);
    s.must(fill(s.queue, at, word, bytes), "npuQueueFill");
    if (s.rng.percent(30)) {
      s.must(npuQueueSync(s.queue, kLongNs), "npuQueueSync");
      expect_words(s, s.context, at, word, bytes, "pooled memory holds what it was filled with");
    }
    s.must(npuMemFreeAsync(at, s.queue), "npuMemFreeAsync");
  }
  if (s.rng.percent(50)) s.must(npuMemPoolTrim(pool.handle, 0), "npuMemPoolTrim");
}

void grow(Session& s) {
  constexpr uint64_t kPieces = 4;
  npuDevPtr range = 0;
  if (!s.good(npuMemReserve(s.context, kPieces * NPU_MEM_GRANULE_BYTES, 0, &range),
              "npuMemReserve"))
    return;
  uint64_t mapped = 0;
  for (; mapped < kPieces; mapped++) {
    Handle memory(s);
    if (!s.good(npuMemCreate(s.context, NPU_MEM_DEVICE, NPU_MEM_GRANULE_BYTES, &memory.handle),
                "npuMemCreate"))
      break;
    if (!s.good(npuMemMapAt(s.context, range + mapped * NPU_MEM_GRANULE_BYTES, memory.handle, 0,
                            NPU_MEM_GRANULE_BYTES, 0),
                "npuMemMapAt")) {
      break;
    }
  }
  const uint64_t bytes = mapped * NPU_MEM_GRANULE_BYTES;
  if (mapped != 0) {
    const uint32_t word = some_word(s);
    s.must(fill(s.queue, range, word, bytes), "npuQueueFill");
    s.must(npuQueueSync(s.queue, kLongNs), "npuQueueSync");
    expect_words(s, s.context, range, word, bytes, "pieces side by side are one range");
    s.must(npuMemUnmapAt(s.context, range, bytes), "npuMemUnmapAt");
  }
  s.must(npuMemReleaseReservation(s.context, range), "npuMemReleaseReservation");
}

void limit(Session& s) {
  uint64_t used = 0;
  uint64_t value = 0;
  s.must(npuContextGetLimit(s.context, NPU_LIMIT_DEVICE_BYTES, &value, &used),
         "npuContextGetLimit");
  s.must(npuContextSetLimit(s.context, NPU_LIMIT_DEVICE_BYTES, used), "npuContextSetLimit");
  npuDevPtr at = 0;
  s.must_be(NPU_ERROR_QUOTA, npuMemAlloc(s.context, NPU_MEM_DEVICE, 8 << 20, &at),
            "an allocation beyond the limit");
  s.must(npuContextSetLimit(s.context, NPU_LIMIT_DEVICE_BYTES, NPU_LIMIT_NONE),
         "npuContextSetLimit");
}

void register_host(Session& s) {
  std::vector<uint32_t> words(1024 + s.rng.below(8192), some_word(s));
  const uint64_t bytes = words.size() * 4;
  npuDevPtr at = 0;
  if (!s.good(npuMemRegisterHost(s.context, words.data(), bytes, NPU_MEM_READONLY, &at),
              "npuMemRegisterHost"))
    return;
  {
    const Memory copy(s, bytes);
    if (copy) {
      s.must(npuQueueCopy(s.queue, copy.at, at, bytes, nullptr), "npuQueueCopy");
      s.must(npuQueueSync(s.queue, kLongNs), "npuQueueSync");
      expect_words(s, s.context, copy.at, words[0], bytes, "the device reads registered memory");
    }
  }
  s.must(npuMemUnregisterHost(s.context, words.data()), "npuMemUnregisterHost");
}

void peer(Session& s) {
  Own<npuContext, npuContextDestroy> other(s);
  if (!s.good(npuContextCreate(s.worker.device, &other.handle), "npuContextCreate")) return;
  const Memory memory(s, NPU_MEM_GRANULE_BYTES, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE);
  if (!memory) return;
  const uint32_t word = some_word(s);
  s.must(fill(s.queue, memory.at, word, NPU_MEM_GRANULE_BYTES), "npuQueueFill");
  s.must(npuQueueSync(s.queue, kLongNs), "npuQueueSync");
  s.must(npuContextEnablePeer(other.handle, s.context), "npuContextEnablePeer");
  npuDevPtr there = 0;
  if (!s.good(npuMemMapPeer(other.handle, s.context, memory.at, 0, &there), "npuMemMapPeer"))
    return;
  expect_words(s, other.handle, there, word, NPU_MEM_GRANULE_BYTES, "a peer sees the same bytes");
  s.must(npuMemFree(other.handle, there), "npuMemFree");
}

struct Parcel {
  uint64_t shared_id = 0;
  uint64_t size_bytes = 0;
  uint32_t word = 0;
  uint32_t pad = 0;
};

msghdr header_of(iovec* piece, char* control, size_t control_bytes) {
  msghdr header{};
  header.msg_iov = piece;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = control_bytes;
  return header;
}

// Memory for whichever worker comes first; it outlives this one, and this process.
void send_memory(Session& s) {
  Parcel parcel;
  parcel.size_bytes = NPU_MEM_GRANULE_BYTES * (1 + s.rng.below(4));
  parcel.word = some_word(s);
  const Memory memory(s, parcel.size_bytes, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE);
  if (!memory) return;
  s.must(fill(s.queue, memory.at, parcel.word, parcel.size_bytes), "npuQueueFill");
  s.must(npuQueueSync(s.queue, kLongNs), "npuQueueSync");
  int fd = -1;
  if (!s.good(npuMemExportFd(s.context, memory.at, &fd, &parcel.shared_id), "npuMemExportFd"))
    return;
  iovec piece{&parcel, sizeof parcel};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr header = header_of(&piece, control, sizeof control);
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  // When the box is full the memory goes back.
  [[maybe_unused]] const ssize_t sent =
      sendmsg(s.worker.exchange_out, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  close(fd);
}

void receive_memory(Session& s) {
  Parcel parcel;
  iovec piece{&parcel, sizeof parcel};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = header_of(&piece, control, sizeof control);
  if (recvmsg(s.worker.exchange_in, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof parcel)
    return;
  const cmsghdr* rights = CMSG_FIRSTHDR(&header);
  s.expect(rights != nullptr, "a parcel has a descriptor");
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  npuDevPtr at = 0;
  // The exporter may have freed it, or been killed, before anybody imported it: then the device keeps no object of that file, and what comes is the file's memory, the same bytes.
  const bool imported =
      s.good(npuMemImportFd(s.context, fd, 0, 0, NPU_MEM_READONLY, &at), "npuMemImportFd");
  close(fd);
  if (!imported) return;
  expect_words(s, s.context, at, parcel.word, parcel.size_bytes,
               "imported memory holds what its exporter wrote");
  s.must(npuMemFree(s.context, at), "npuMemFree");
}

}  // namespace

const Action kMemoryActions[] = {{"allocate_and_fill", allocate_and_fill, 6},
                                 {"free_under_work", free_under_work, 4},
                                 {"copy_there_and_back", copy_there_and_back, 6},
                                 {"pool", pool, 4},
                                 {"grow", grow, 3},
                                 {"limit", limit, 1},
                                 {"register_host", register_host, 2},
                                 {"peer", peer, 1},
                                 {"send_memory", send_memory, 2},
                                 {"receive_memory", receive_memory, 3}};
const size_t kMemoryActionCount = std::size(kMemoryActions);

}  // namespace npu::soak
