// SPDX-License-Identifier: Apache-2.0
// One open file of one device: every object that the peer of a connection holds, and the twenty calls on them.
//
// Destroying it gives everything back, whatever state it is in. Thread safety: the I/O thread owns it.
#ifndef NPU_MODEL_SERVER_CLIENT_H_
#define NPU_MODEL_SERVER_CLIENT_H_

#include <sys/types.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "firmware-model/server/account.h"
#include "firmware-model/server/bo.h"
#include "firmware-model/server/call.h"
#include "firmware-model/server/device.h"
#include "firmware-model/server/doorbells.h"
#include "firmware-model/server/perf.h"
#include "firmware-model/server/queue.h"
#include "firmware-model/server/vm.h"

namespace npu::model::server {

class CopyEngine;
struct CopyJob;

// Who the peer is, as the kernel tells.
struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  std::string comm;  // name of the program, at most 15 characters
};

// What a client needs of its connection and of the server.
class ClientHost {
 public:
  virtual ~ClientHost() = default;
  virtual void send(Reply reply) = 0;
  // False: it did not fit, the event is lost.
  virtual bool send_event(const void* event, size_t bytes) = 0;
  // next_due_ns() may have changed.
  virtual void timer_changed() = 0;
  virtual std::vector<npu_client_info> client_rows(const Device* device, uid_t viewer) = 0;
};

class Client final : public QueueListener, public PortListener {
 public:
  // A call's result that comes later.
  static constexpr int kLater = -1;

  Client(Device* device, CopyEngine* copies, ClientHost* host, const Peer& peer);
  ~Client() override;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Takes a doorbell page. 0 or an errno; then the client is of no use.
  int open() { return doorbells_.open(); }
  int wake_fd(UniqueFd* out) const { return doorbells_.wake_fd(out); }

  // Answers one of the twenty calls, now or later.
  void handle(std::unique_ptr<Call> call);
  // Wire verbs.
  int map(npu_wire_map* args, UniqueFd* out);
  int close_bo(uint32_t handle);
  uint64_t doorbell_token() const;

  void on_queue_fault(uint32_t number, const npu_event_record& record) override;
  void on_queue_progress(uint32_t number) override;
  void on_port_state(uint32_t port, uint32_t state) override;
  void on_ports_lost() override;

  // Deadlines, watchdogs, words that nobody announces, samples. `tick` at or after next_due_ns() (INT64_MAX: never).
  void tick(int64_t now_ns);
  int64_t next_due_ns() const;

  void copy_done(CopyJob* job, int error);

  npu_client_info row() const;
  const Device* device() const { return device_; }
  const Peer& peer() const { return peer_; }

 private:
  struct Wait {
    std::unique_ptr<Call> call;
    npu_wait args{};
    std::vector<Condition> conditions;
    std::vector<std::shared_ptr<QueueView>> watched;
    bool polled = false;  // looks at a word that no event announces
  };

  // A QUEUE_SET that waits for the running command to end.
  struct Suspension {
    std::unique_ptr<Call> call;
    std::shared_ptr<QueueView> queue;
  };

  // A BO_CREATE for which there will be memory when the device has let go of what was freed.
  struct Starved {
    std::unique_ptr<Call> call;
    npu_bo_create args;
    int64_t deadline_ns;
  };

  // client_<noun>.cpp: one function for each row of calls.def. 0, an errno or kLater.
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc) int name(Call& call, npu_##name& args);
#include "uapi/spec/calls.def"
  template <typename T>
  void invoke(std::unique_ptr<Call> call, size_t min_bytes,
              int (*validate)(const T*, const npu_limits*), int (Client::*run)(Call&, T&));

  // client_vm.cpp
  Vm* find_vm(uint32_t id) const;
  int check_bind(const Vm& vm, uint32_t vm_id, const npu_bind_op& op, BindStep* out) const;
  // client_bo.cpp
  std::shared_ptr<Bo> find_bo(uint32_t handle) const;
  int make_bo(npu_bo_create& args);
  void look_at_starved(int64_t now_ns);
  // client_queue.cpp
  Queue* find_queue(uint32_t id) const;
  uint32_t id_of(uint32_t number) const;
  int check_queue(const npu_queue_create& args, Queue::Places* out) const;
  // The parameters of a queue of class NET: its ports lead where it says.
  int read_net(const Call& call, const npu_queue_create& args, npu_queue_net* out) const;
  void report_death(uint32_t queue_id, const Queue& queue, uint64_t seq);
  void run_watchdogs(int64_t now_ns);
  void look_at_suspensions();
  // client_wait.cpp
  int make_condition(const npu_cond& cond, Condition* out) const;
  static bool is_over(Wait* wait, int64_t now_ns, int* out_result);
  void watch(Wait* wait);
  static void arm(const Wait& wait);
  void unwatch(const Wait& wait);
  void look_at_waits(int64_t now_ns);
  int add_notification(Call& call, const npu_notify& args);
  bool polls() const;
  void poll_soon(int64_t now_ns);
  void poll_notifications();
  void drop_spent();
  // client_query.cpp
  int query_engines(Call& call, npu_dev_query& args);
  int query_regions(Call& call, npu_dev_query& args);
  // client_event.cpp
  void send_event(npu_event* event, uint32_t type, uint32_t bytes);

  Device* device_;
  CopyEngine* copies_;
  ClientHost* host_;
  Peer peer_;
  std::shared_ptr<Account> account_;
  // Members are destroyed last to first: queues before doorbells and address spaces, those before objects.
  std::unordered_map<uint32_t, std::shared_ptr<Bo>> bos_;
  std::unordered_map<uint32_t, std::unique_ptr<Vm>> vms_;
  Doorbells doorbells_;
  std::unordered_map<uint32_t, std::unique_ptr<Queue>> queues_;
  std::unordered_map<uint32_t, uint32_t> queue_ids_;  // by number on the device
  std::unordered_map<uint64_t, std::shared_ptr<Notification>> notifications_;
  std::list<Wait> waits_;
  std::unordered_map<CopyJob*, std::unique_ptr<Call>> copy_waits_;
  std::list<PerfStream> perf_;
  std::list<Suspension> suspensions_;
  std::list<Starved> starved_;
  std::unique_ptr<Call>* later_ = nullptr;  // where a call goes that is answered later
  uint32_t next_handle_ = 1;
  uint32_t next_vm_ = 1;
  uint32_t next_queue_ = 1;
  uint64_t event_mask_ = 0;
  bool events_lost_ = false;
  int64_t starved_due_ns_ = INT64_MAX;
  int64_t poll_due_ns_ = INT64_MAX;
  int64_t poll_period_ns_ = 0;
  int64_t watchdog_due_ns_ = INT64_MAX;
  uint64_t ended_commands_ = 0;  // of queues that are gone
  uint64_t ended_busy_ns_ = 0;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_CLIENT_H_
