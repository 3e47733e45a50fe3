// SPDX-License-Identifier: Apache-2.0
// Groups: one list of calls for each communicator.
#include "libnpu/ccl/group.h"

#include <algorithm>
#include <utility>

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

npuResult wait_started(const CommunicatorPtr& communicator) {
  communicator->wait_for_start();
  return communicator->usable();
}

}  // namespace

bool in_group() { return group.depth != 0; }

npuResult call(const CommunicatorPtr& communicator, const Request& request) {
  if (!in_group()) return submit({{communicator, {request}}});
  for (Calls& calls : group.calls) {
    if (calls.communicator != communicator) continue;
    calls.requests.push_back(request);
    return NPU_OK;
  }
  group.calls.push_back({communicator, {request}});
  return NPU_OK;
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
  const auto work = std::move(group.work);
  for (const auto& one : work) note(one());  // may add to |starting|: the group is still open
  const Group ended = std::exchange(group, {});
  for (const CommunicatorPtr& communicator : ended.starting) note(wait_started(communicator));
  note(submit(ended.calls));
  return first;
}

}  // namespace npu::ccl
