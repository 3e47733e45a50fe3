// SPDX-License-Identifier: Apache-2.0
// Network ports: their state, what is at their other end, and what they have counted.
//
// A port without an interface keeps the state that its configuration gives it. One that stands for an interface of the host
// follows it: a thread looks every kLookNs, and only then; answers are of the last look. Injected faults come on top.
//
// Thread safety: every function is called under the owner's lock, and so is on_change, by whoever made the change: changes are told in order, and
// an event that is written into host memory cannot meet its withdrawal (npu_device_host_changed). The thread reads files without the lock.
#ifndef NPU_MODEL_DEVICE_PORT_H_
#define NPU_MODEL_DEVICE_PORT_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "firmware-model/device/interface.h"
#include "firmware-model/device/npu_device.h"
#include "firmware-model/device/port_traffic.h"
#include "uapi/npu_accel.h"

namespace npu::model {

class Ports {
 public:
  static constexpr int64_t kLookNs = 100'000'000;
  using OnChange = std::function<void(uint32_t port, npu_port_state state)>;
  // Runs |body| under the owner's lock.
  using Locked = std::function<void(const std::function<void()>& body)>;

  // What is wrong with the ports of |config|; empty: nothing.
  static std::string check(const npu_device_config& config);

  // |traffic| is told each port's rate, and has the counters of those without an interface.
  Ports(const npu_device_config& config, PortTraffic& traffic, Locked locked, OnChange on_change);
  ~Ports();
  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;

  uint32_t count() const { return static_cast<uint32_t>(ports_.size()); }
  // False: there is no such port.
  bool describe(uint64_t port, npu_port_info* out) const;

  // False: no such port, or one whose link is not up.
  bool flap(uint64_t port, uint64_t times);
  // False: no such port.
  bool hold_down(uint64_t port, bool down);

 private:
  struct Port {
    npu_port_info info{};
    std::string folder;                  // of the interface; empty: none
    npu_port_state own = NPU_PORT_DOWN;  // without injected faults
    bool held_down = false;
  };
  static void follow(Port& port, const InterfaceReading& reading);
  // Works out what |port| is now; a change is counted and told.
  void settle(Port& port);
  void set_rate(const Port& port);
  void look();
  void watch();

  PortTraffic& traffic_;
  const Locked locked_;
  const OnChange on_change_;
  std::vector<Port> ports_;
  std::mutex end_mutex_;
  std::condition_variable end_;
  bool ends_ = false;  // guarded by end_mutex_
  std::thread watcher_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_PORT_H_
