// SPDX-License-Identifier: Apache-2.0
// The server's own queue of one device: runs the jobs of COPY_SUBMIT in chunks, one client after the other.
//
// A job maps each chunk into an address space that no client sees, and unmaps it when the chunk is done: a copy can never reach memory
// of another object. Thread safety: the I/O thread owns it.
#ifndef NPU_MODEL_SERVER_COPY_ENGINE_H_
#define NPU_MODEL_SERVER_COPY_ENGINE_H_

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <vector>

#include "firmware-model/server/device.h"
#include "firmware-model/server/doorbells.h"
#include "firmware-model/server/queue.h"
#include "firmware-model/server/vm.h"

namespace npu::model::server {

class Client;

// One checked operation with its objects.
struct CopyStep {
  npu_copy_op op{};
  std::shared_ptr<Bo> src;  // null: fill
  std::shared_ptr<Bo> dst;
};

struct CopyJob {
  Client* owner = nullptr;  // null: it has gone
  std::vector<CopyStep> steps;
  size_t step = 0;      // the one to go on with
  uint64_t offset = 0;  // done of it
  uint32_t in_flight = 0;
  int error = 0;
};

class CopyEngine final : public QueueListener {
 public:
  explicit CopyEngine(Device* device) : device_(device) {}
  ~CopyEngine() override;

  // Client::copy_done() is called at the end, never before the return. 0 or an errno.
  int submit(Client* owner, std::vector<CopyStep> steps, CopyJob** out);
  // The owner no longer wants to know; what has not begun is dropped.
  void abandon(CopyJob* job);
  // Finishes what ended while nobody could be told. Called once in each round of the I/O loop.
  void service();

  void on_queue_fault(uint32_t queue, const npu_event_record& record) override;
  void on_queue_progress(uint32_t queue) override;

 private:
  struct Window {
    uint64_t dva = 0;
    uint64_t bytes = 0;
  };
  struct Chunk {
    CopyJob* job = nullptr;
    Window src;
    Window dst;
  };

  int start();
  void stop();
  void pump();
  bool issue(CopyJob* job);
  int map(const std::shared_ptr<Bo>& bo, uint64_t offset, uint64_t bytes, bool write,
          Window* window, uint64_t* dva);
  void unmap(const Window& window);
  void write_command(const npu_cmd& command);
  void reap();
  void finish_ended_jobs();

  Device* device_;
  std::shared_ptr<Account> account_;
  std::unique_ptr<Vm> vm_;
  std::shared_ptr<Bo> memory_;  // ring, then control block
  std::unique_ptr<Doorbells> doorbells_;
  std::unique_ptr<Queue> queue_;
  std::list<CopyJob> jobs_;   // in turn
  std::deque<Chunk> chunks_;  // on the ring, in order
  uint64_t submitted_ = 0;
  uint64_t reaped_ = 0;
  uint64_t next_dva_ = 0;
  bool needs_service_ = false;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_COPY_ENGINE_H_
