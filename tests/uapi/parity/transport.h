// SPDX-License-Identifier: Apache-2.0
// Transport: one open file of a device, on the road of the socket or of the ioctls. Raw: nothing is checked on the way, so that the other side is what is tested.
//
// Thread safety: one thread. Errors of the road itself (not of a call) throw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "uapi/npu_wire.h"

namespace npu::parity {

using Bytes = std::vector<uint8_t>;

// Memory shared with the device.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual uint8_t* data() = 0;
};

// One array of a call. The transport puts its address into the struct, as its road writes addresses.
struct ArrayArg {
  enum class Place {
    kGood,
    kUnaligned,
    kNowhere,  // where nothing can be read
    kAsItIs,   // the struct's own ptr
  };
  uint32_t offset = 0;  // of the struct npu_array in the call's struct
  bool is_out = false;
  std::shared_ptr<Bytes> memory = std::make_shared<Bytes>();
  Place place = Place::kGood;
};

class Transport {
 public:
  virtual ~Transport() = default;
  // Call |nr| with a struct of args->size() bytes, which becomes what came back, addresses zeroed. fd >= 0: goes into the struct's `fd`. 0 or the errno.
  virtual int call(uint32_t nr, Bytes* args, const std::vector<ArrayArg>& arrays, int fd) = 0;
  virtual int close_object(uint32_t handle) = 0;
  virtual std::unique_ptr<Memory> map(uint64_t token, uint64_t size_bytes) = 0;
  // Doorbell |slot| of the page that |token| of QUEUE_CREATE stands for.
  virtual void ring(uint64_t token, uint32_t slot, uint64_t value) = 0;
  // The next event of this file; empty when none comes in time.
  virtual Bytes read_event(int timeout_ms) = 0;
  // The open file itself, for what only the kernel's road has (syncobjs, PRIME); -1: there is none.
  virtual int descriptor() const { return -1; }
  // How this road hands memory of the caller to BO_CREATE_USERPTR: fills address and, through *fd, a file.
  virtual void user_memory(uint64_t size_bytes, uint64_t* address, int* fd) = 0;
};

// A struct may be too short to have the array.
inline bool has_array(const Bytes& args, const ArrayArg& array) {
  return array.offset + 16 <= args.size();
}

inline bool has_fd(const Bytes& args, const npu_call_desc& desc) {
  return desc.fd_offset >= 0 && static_cast<size_t>(desc.fd_offset) + 4 <= args.size();
}

class Road {
 public:
  virtual ~Road() = default;
  // One more file of the same device.
  virtual std::unique_ptr<Transport> open() = 0;
};

std::unique_ptr<Road> in_process_road(const std::string& library, const std::string& spec);
std::unique_ptr<Road> daemon_road(const std::string& program, const std::string& spec);
std::unique_ptr<Road> ioctl_road(const std::string& node);

}  // namespace npu::parity
