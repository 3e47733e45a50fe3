// SPDX-License-Identifier: Apache-2.0
// Groups: one list of calls for each communicator.
#include "libnpu/ccl/group.h"

#include <npu/npu_graph.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "libnpu/ccl/guard.h"
#include "libnpu/ccl/handles.h"
#include "libnpu/ccl/submission.h"

namespace npu::ccl {
namespace {

struct Calls {
  CommunicatorPtr communicator;
  std::vector<Request> requests;
};

struct Group {
  uint32_t depth = 0;
  std::vector<Calls> calls;
  std::vector<CommunicatorPtr> starting;
  std::vector<std::function<npuResult()>> work;
};
thread_local Group group;

void add_to(std::vector<Calls>* all, const CommunicatorPtr& communicator, const Request& request) {
  for (Calls& calls : *all) {
    if (calls.communicator == communicator) return calls.requests.push_back(request);
  }
  all->push_back({communicator, {request}});
}

npuResult submit(std::vector<Calls> calls) {
  // Always in one order, so that two threads that use the same communicators never wait for each other.
  std::sort(calls.begin(), calls.end(),
            [](const Calls& a, const Calls& b) { return a.communicator < b.communicator; });
  std::vector<std::unique_ptr<Submission>> submissions;
  for (Calls& one : calls) {
    submissions.push_back(
        std::make_unique<Submission>(std::move(one.communicator), std::move(one.requests)));
  }
  return submit_all(submissions);
}

// Calls of a group whose queue is captured: one node, which submits them anew in each launch. Communicators go by handle: a graph may outlive them.
struct Captured {
  std::vector<Request> requests;

  static npuResult submit_again(void* self, npuQueue queue, uint64_t* out_value) {
    return guarded([&] { return static_cast<const Captured*>(self)->submit_to(queue, out_value); });
  }
  static void release(void* self) { delete static_cast<Captured*>(self); }

 private:
  npuResult submit_to(npuQueue queue, uint64_t* out_value) const {
    std::vector<Calls> calls;
    for (Request request : requests) {
      request.queue = queue;
      request.out_value = out_value;  // written by each in turn: the last value is the largest
      CommunicatorPtr communicator;
      NPU_CCL_TRY(find_handle(request.comm, &communicator));
      add_to(&calls, communicator, request);
    }
    return submit(std::move(calls));
  }
};

bool is_captured(const std::vector<Calls>& calls) {
  return std::any_of(calls.begin(), calls.end(), [](const Calls& one) {
    return std::any_of(one.requests.begin(), one.requests.end(),
                       [](const Request& request) { return request.is_captured; });
  });
}

// What is captured is a node of one graph: all calls of the group are on its queue.
npuResult capture(const std::vector<Calls>& calls) {
  auto captured = std::make_unique<Captured>();
  const Request first = calls.front().requests.front();
  for (const Calls& one : calls) {
    for (const Request& request : one.requests) {
      captured->requests.push_back(request);
      if (request.is_captured && request.queue == first.queue) continue;
      return fail(NPU_ERROR_CAPTURE_UNSUPPORTED,
                  "a group with calls on a queue that is captured and on another one");
    }
  }
  const size_t count = captured->requests.size();
  const std::string name = count == 1 ? describe(record_of(first, 0))
                                      : "group of " + std::to_string(count) + " operations";
  uint64_t value = 0;
  NPU_CCL_TRY(passed_on(npuQueueCaptureSubmission(first.queue, name.substr(0, 63).c_str(),
                                                  Captured::submit_again, Captured::release,
                                                  captured.get(), &value)));
  captured.release();  // the graph's now
  if (first.out_value != nullptr) *first.out_value = value;
  return NPU_OK;
}

npuResult submit_or_capture(std::vector<Calls> calls) {
  return is_captured(calls) ? capture(calls) : submit(std::move(calls));
}

npuResult wait_started(const CommunicatorPtr& communicator) {
  communicator->wait_for_start();
  return communicator->usable();
}

}  // namespace

bool in_group() { return group.depth != 0; }

npuResult call(const CommunicatorPtr& communicator, Request request) {
  if (in_group()) {
    add_to(&group.calls, communicator, request);
    return NPU_OK;
  }
  if (request.is_captured) return capture({{communicator, {std::move(request)}}});
  std::vector<Request> requests;
  requests.push_back(std::move(request));
  return Submission(communicator, std::move(requests)).run();
}

npuResult await_start(const CommunicatorPtr& communicator) {
  if (!in_group()) return wait_started(communicator);
  group.starting.push_back(communicator);
  return NPU_OK;
}

npuResult later(std::function<npuResult()> work) {
  if (!in_group()) return work();
  group.work.push_back(std::move(work));
  return NPU_OK;
}

void group_start() { group.depth++; }

npuResult group_end() {
  if (group.depth == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "no group was begun");
  if (group.depth != 1) {
    group.depth--;
    return NPU_OK;
  }
  npuResult first = NPU_OK;
  const auto note = [&](npuResult result) {
    if (result != NPU_OK && first == NPU_OK) first = result;
  };
  // Work may add to |starting| and to |work|, which is then done after that of all: the group is still open.
  while (!group.work.empty()) {
    const auto work = std::exchange(group.work, {});
    for (const auto& one : work) note(one());
  }
  const Group ended = std::exchange(group, {});
  for (const CommunicatorPtr& communicator : ended.starting) note(wait_started(communicator));
  note(submit_or_capture(ended.calls));
  return first;
}

}  // namespace npu::ccl
