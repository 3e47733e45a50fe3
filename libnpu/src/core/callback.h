// SPDX-License-Identifier: Apache-2.0
// Callbacks: the thread of a context that runs host functions in queue order.
//
// A host function is a SEM_WAIT of its queue on a word of the queue's control page. The thread waits until the queue has come to it, runs the function, and opens the gate: stores the word and
// rings, so that the device looks at it.
//
// Thread safety: all functions.
#pragma once

#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "libnpu/src/backend/event_fd.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Callbacks {
 public:
  explicit Callbacks(const Context& context) : context_(context) {}
  Callbacks(const Callbacks&) = delete;
  Callbacks& operator=(const Callbacks&) = delete;

  // The thread runs afterwards.
  Status prepare();
  // |queue| has got a host function. When the context ended meanwhile, the queue has ended too, and the function is told so by the calling thread.
  void post(Ref<Queue> queue);
  // Every queue of the context has ended: what they had left is told so, and the thread ends. Not from the thread itself.
  void stop();

  // The context whose thread this is, or nullptr.
  static const Context* of_this_thread();

 private:
  struct Entry {
    Ref<Queue> queue;
    uint64_t watched = 0;  // the value that |watch| asks for
    Watch watch;
  };
  void run();
  void cancel_rest(Queue& queue);
  bool take_news(std::vector<Entry>* entries);
  bool run_some(std::vector<Entry>* entries);
  bool arm(std::vector<Entry>* entries, bool again);

  const Context& context_;
  std::mutex mutex_;  // of what follows
  bool stop_ = false;
  bool done_ = false;  // the thread looks at nothing any more
  std::vector<Ref<Queue>> news_;
  std::optional<EventFd> event_;  // never changes once the thread runs
  std::thread thread_;
  std::mutex rest_mutex_;  // one thread at a time takes functions from a queue
};

}  // namespace npu
