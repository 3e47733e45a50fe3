// SPDX-License-Identifier: Apache-2.0
// Where interrupts of the device arrive: reads the event ring, wakes sleepers, signals eventfds, and leaves the rest to
// the I/O thread.
//
// Thread safety: interrupt() is called by device threads, everything else by the I/O thread; one mutex guards all state.
// It is held for memory accesses and non-blocking system calls only.
#ifndef NPU_MODEL_SERVER_EVENT_HUB_H_
#define NPU_MODEL_SERVER_EVENT_HUB_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "firmware-model/server/condition.h"
#include "firmware-model/server/unique_fd.h"
#include "uapi/npu_regs.h"

namespace npu::model::server {

// A registration of NOTIFY.
struct Notification {
  UniqueFd fd;
  Condition condition;
  uint64_t cookie = 0;
  bool oneshot = false;
  bool held = false;   // the condition was true when it was looked at last
  bool spent = false;  // one-shot and signalled
};

// What the I/O thread takes out.
struct HubNews {
  std::vector<npu_event_record>
      faults;                        // of queues; changes of ports and losses among them, in order
  std::vector<uint32_t> progressed;  // queues that completed something and have watchers
};

class EventHub {
 public:
  static constexpr uint32_t kEntries = 4096;

  // The ring's memory, to be given to the device. |io_event_fd|: see DeviceOptions.
  npu_event_record* prepare(uint32_t queues, int io_event_fd);

  void interrupt();

  void attach(std::shared_ptr<QueueView> queue);
  // After the return no device thread uses the queue. Its events that are in the ring are taken first.
  void detach(uint32_t number);
  // The I/O thread wants to hear of progress of this queue (+1) or no longer (-1).
  void watch(const std::shared_ptr<QueueView>& queue, int delta);

  // Looks at it at once and from now on with each event of its queue, or with look_at().
  void add(std::shared_ptr<Notification> notification);
  void remove(const std::shared_ptr<Notification>& notification);
  // For conditions on plain words, which no event announces.
  void look_at(const std::shared_ptr<Notification>& notification);
  bool spent(const std::shared_ptr<Notification>& notification);

  HubNews take();
  // Wakes who sleeps on the queue's completed word.
  static void wake_sleepers(npu_queue_ctrl* ctrl);

 private:
  struct Slot {
    std::shared_ptr<QueueView> queue;
    int watchers = 0;
    bool reported = false;  // in news_.progressed already
    std::vector<std::shared_ptr<Notification>> notifications;
  };

  void drain_locked();
  void handle_locked(const npu_event_record& record);
  void progress_locked(Slot& slot, uint32_t number);
  void signal_locked(Notification& notification);
  void tell_io_locked();

  std::mutex mutex_;
  std::vector<npu_event_record> ring_;
  uint64_t head_ = 0;  // records taken
  std::vector<Slot> slots_;
  HubNews news_;
  bool told_ = false;
  int io_event_fd_ = -1;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_EVENT_HUB_H_
