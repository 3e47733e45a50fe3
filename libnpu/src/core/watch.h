// SPDX-License-Identifier: Apache-2.0
// Watch: what was asked of the driver so that an eventfd tells of values of queues. Its end takes the requests back that were not answered.
// Thread safety: as a plain object.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace npu {

class Backend;
class Ring;

// A name for a request, of all backends of this process.
uint64_t take_notify_cookie();

// Asks for the eventfd |fd| to be added to once the word of the object is at least |value|, or once the queue (0: none) is dead. 0 or an errno.
int request_notify(Backend& backend, uint32_t bo_handle, uint32_t queue_id, uint64_t offset,
                   uint64_t value, int fd, uint64_t cookie);
// Takes a request back; one that was answered is unknown, which is no error.
void forget_notify(Backend& backend, uint64_t cookie);

class Watch {
 public:
  Watch() = default;
  Watch(Watch&&) = default;
  Watch& operator=(Watch&&) = default;
  ~Watch();
  // A request about a queue; and one about a word, whose backend outlives this object.
  void add(std::weak_ptr<Ring> ring, uint64_t cookie) {
    requests_.push_back({std::move(ring), nullptr, cookie});
  }
  void add(Backend& backend, uint64_t cookie) { requests_.push_back({{}, &backend, cookie}); }

 private:
  struct Request {
    std::weak_ptr<Ring> ring;  // a ring that is gone has taken its requests with it
    Backend* backend = nullptr;
    uint64_t cookie = 0;
  };
  std::vector<Request> requests_;
};

}  // namespace npu
