// SPDX-License-Identifier: Apache-2.0
// Watch: what was asked of the driver so that an eventfd tells of values of queues. Its end takes the requests back that were not answered.
// Thread safety: as a plain object.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace npu {

class Ring;

class Watch {
 public:
  Watch() = default;
  Watch(Watch&&) = default;
  Watch& operator=(Watch&&) = default;
  ~Watch();
  void add(std::weak_ptr<Ring> ring, uint64_t cookie) {
    requests_.push_back({std::move(ring), cookie});
  }

 private:
  struct Request {
    std::weak_ptr<Ring> ring;  // a ring that is gone has taken its requests with it
    uint64_t cookie = 0;
  };
  std::vector<Request> requests_;
};

}  // namespace npu
