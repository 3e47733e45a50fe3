// SPDX-License-Identifier: Apache-2.0
// WAIT, NOTIFY and events.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/uapi/parity/session.h"

namespace npu::parity {
namespace {

npu_cond word_cond(uint32_t op, uint32_t handle, uint64_t offset, uint64_t value,
                   uint64_t mask = ~0ull) {
  npu_cond cond{};
  cond.op = op;
  cond.bo_handle = handle;
  cond.offset = offset;
  cond.value = value;
  cond.mask = mask;
  return cond;
}

void wait(Session& s, const std::string& name, const std::vector<npu_cond>& conds,
          int64_t deadline_ns, uint32_t flags = 0) {
  npu_wait args{};
  args.flags = flags;
  args.deadline_ns = deadline_ns;
  const ArrayArg array = make_array(&args.conds, &args, conds);
  s.logged(name, NPU_CALL_WAIT, &args, {array});
}

void run_words(Session& s) {
  const npu_bo_create object = s.object(NPU_PAGE_4K, NPU_REGION_SYSTEM);
  const npu_bo_create hbm = s.object(NPU_PAGE_64K, NPU_REGION_HBM);
  const auto memory = s.file().map(object.map_token, object.size_bytes);
  auto* words = reinterpret_cast<uint64_t*>(memory->data());
  words[0] = 5;
  words[1] = 0xff00ff00;
  const uint32_t h = object.handle;
  wait(s, "wait.ge.holds", {word_cond(NPU_COND_GE, h, 0, 5)}, 0);
  wait(s, "wait.ge.fails", {word_cond(NPU_COND_GE, h, 0, 6)}, 0);
  wait(s, "wait.eq.holds", {word_cond(NPU_COND_EQ, h, 0, 5)}, 0);
  wait(s, "wait.ne.fails", {word_cond(NPU_COND_NE, h, 0, 5)}, 0);
  wait(s, "wait.mask.holds", {word_cond(NPU_COND_EQ, h, 8, 0xff00, 0xffff)}, 0);
  wait(s, "wait.value_beyond_mask", {word_cond(NPU_COND_EQ, h, 8, 0x1ff00, 0xffff)}, 0);
  wait(s, "wait.hbm_word", {word_cond(NPU_COND_EQ, hbm.handle, 8, 0)}, 0);
  wait(s, "wait.last_word", {word_cond(NPU_COND_EQ, h, NPU_PAGE_4K - 8, 0)}, 0);
  wait(s, "wait.beyond_the_object", {word_cond(NPU_COND_EQ, h, NPU_PAGE_4K, 0)}, 0);
  const npu_cond yes = word_cond(NPU_COND_GE, h, 0, 5);
  const npu_cond no = word_cond(NPU_COND_GE, h, 0, 6);
  wait(s, "wait.any", {no, no, yes}, 0);
  wait(s, "wait.any.first_of_two", {no, yes, yes}, 0);
  wait(s, "wait.all.holds", {yes, yes}, 0, NPU_WAIT_FLAG_ALL);
  wait(s, "wait.all.one_fails", {yes, no}, 0, NPU_WAIT_FLAG_ALL);
  wait(s, "wait.past_deadline", {no}, 1);
  wait(s, "wait.times_out", {no}, in_ms(30));
  wait(s, "wait.one_bad_condition", {yes, word_cond(NPU_COND_GE, kUnknownId, 0, 0)}, 0);
  wait(s, "wait.unknown_op", {word_cond(NPU_COND_OP_COUNT, h, 0, 0)}, 0);
}

npu_cond idle(uint32_t queue) {
  npu_cond cond{};
  cond.op = NPU_COND_QUEUE_IDLE;
  cond.queue_id = queue;
  return cond;
}

void run_queues_waits(Session& s) {
  const uint32_t vm = s.vm();
  QueueParts queue = s.queue(vm);
  wait(s, "wait.idle.fresh", {idle(queue.id)}, 0);
  wait(s, "wait.idle.unknown", {idle(kUnknownId)}, 0);
  npu_cmd bad{};
  bad.op = NPU_CMD_COUNT;
  s.submit(&queue, &bad);
  npu_cond never =
      word_cond(NPU_COND_GE, queue.args.ctrl_handle, offsetof(npu_queue_ctrl, completed), 100);
  never.queue_id = queue.id;
  wait(s, "wait.dies_meanwhile", {never}, in_ms(kTimeoutMs));
  wait(s, "wait.died_before", {never}, in_ms(kTimeoutMs));
  wait(s, "wait.idle.dead", {idle(queue.id)}, 0);
  npu_cond value = never;
  value.value = 1;
  wait(s, "wait.value_reached_before_death", {value}, 0);
  s.destroy_queue(queue.id);
  wait(s, "wait.destroyed", {never}, in_ms(kTimeoutMs));
}

int64_t signalled(int fd) {
  pollfd ready{fd, POLLIN, 0};
  uint64_t count = 0;
  if (poll(&ready, 1, kTimeoutMs) != 1) return -1;
  return read(fd, &count, sizeof count) == sizeof count ? static_cast<int64_t>(count) : -1;
}

int notify(Session& s, const std::string& name, uint32_t flags, uint64_t cookie,
           const npu_cond& cond, int fd) {
  npu_notify args{};
  args.flags = flags;
  args.cookie = cookie;
  args.fd = -1;
  args.cond = cond;
  return s.logged(name, NPU_CALL_NOTIFY, &args, {}, fd);
}

void run_notify(Session& s) {
  const uint32_t vm = s.vm();
  QueueParts queue = s.queue(vm);
  npu_cond at_two =
      word_cond(NPU_COND_GE, queue.args.ctrl_handle, offsetof(npu_queue_ctrl, completed), 2);
  at_two.queue_id = queue.id;
  npu_cond at_once = at_two;
  at_once.value = 0;
  const int fd = eventfd(0, EFD_CLOEXEC);
  notify(s, "notify.holds_already", NPU_NOTIFY_ADD | NPU_NOTIFY_ONESHOT, 1, at_once, fd);
  s.log().add("notify.holds_already.signal", std::to_string(signalled(fd)));
  notify(s, "notify.later", NPU_NOTIFY_ADD | NPU_NOTIFY_ONESHOT, 2, at_two, fd);
  notify(s, "notify.cookie_in_use", NPU_NOTIFY_ADD, 2, at_two, fd);
  const npu_cmd nop{};
  s.submit(&queue, &nop);
  s.submit(&queue, &nop);
  s.log().add("notify.later.signal", std::to_string(signalled(fd)));
  notify(s, "notify.remove_spent", NPU_NOTIFY_REMOVE, 2, npu_cond{}, -1);
  npu_cond at_many = at_two;
  at_many.value = 1000;
  notify(s, "notify.waits", NPU_NOTIFY_ADD, 3, at_many, fd);
  notify(s, "notify.remove", NPU_NOTIFY_REMOVE, 3, npu_cond{}, -1);
  notify(s, "notify.remove_twice", NPU_NOTIFY_REMOVE, 3, npu_cond{}, -1);
  notify(s, "notify.remove_with_condition", NPU_NOTIFY_REMOVE, 3, at_two, -1);
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe");
  notify(s, "notify.no_eventfd", NPU_NOTIFY_ADD, 4, at_two, ends[0]);
  close(ends[0]);
  close(ends[1]);
  close(fd);
}

std::string describe(const Bytes& bytes) {
  if (bytes.empty()) return "none";
  npu_event base{};
  std::memcpy(&base, bytes.data(), sizeof base);
  std::string text = "type " + number(base.type) + " length " + number(base.length) + " flags " +
                     number(base.flags);
  if (base.type == NPU_EVENT_TYPE_QUEUE_ERROR) {
    npu_event_queue_error event{};
    std::memcpy(&event, bytes.data(), sizeof event);
    text += " state " + number(event.state) + " status " + std::to_string(event.status) + " seq " +
            number(event.seq);
  }
  if (base.type == NPU_EVENT_TYPE_VM_FAULT) {
    npu_event_vm_fault event{};
    std::memcpy(&event, bytes.data(), sizeof event);
    text += " dva " + number(event.fault.dva) + " status " + std::to_string(event.fault.status) +
            " reason " + number(event.fault.reason) + " access " + number(event.fault.access);
  }
  return text;
}

void run_events(Session& s, bool wanted) {
  const std::string name = wanted ? "event.wanted" : "event.unwanted";
  npu_event_mask mask{};
  mask.mask = wanted ? NPU_EVENT_MASK_ALL : 0;
  s.logged(name + ".mask", NPU_CALL_EVENT_MASK, &mask);
  const uint32_t vm = s.vm();
  QueueParts queue = s.queue(vm);
  npu_cmd_fill fill{};
  fill.op = NPU_CMD_FILL;
  fill.dst_dva = 1ull << 40;
  fill.width_bytes = 4096;
  fill.pattern_bytes = 8;
  fill.height = 1;
  s.submit(&queue, &fill);
  npu_wait out{};
  s.log().add(name + ".wait", errno_name(s.wait_completed(queue, 100, &out)));
  const int timeout_ms = wanted ? kTimeoutMs : 50;
  s.log().add(name + ".first", describe(s.file().read_event(timeout_ms)));
  s.log().add(name + ".second", describe(s.file().read_event(timeout_ms)));
  s.log().add(name + ".third", describe(s.file().read_event(50)));
  npu_event_mask none{};
  s.logged(name + ".previous_mask", NPU_CALL_EVENT_MASK, &none);
}

}  // namespace

void run_waits(Road* road, Log* log) {
  using Family = void (*)(Session&);
  for (const Family family : {&run_words, &run_queues_waits, &run_notify}) {
    Session session(road, log);
    family(session);
  }
  for (const bool wanted : {true, false}) {
    Session session(road, log);
    run_events(session, wanted);
  }
}

}  // namespace npu::parity
