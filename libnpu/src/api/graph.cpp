// SPDX-License-Identifier: Apache-2.0
// npu_graph.h: check, call, translate.
#include "libnpu/src/core/graph.h"

#include <npu/npu_graph.h>

#include <algorithm>
#include <cstring>

#include "libnpu/src/api/explain.h"
#include "libnpu/src/api/fault.h"
#include "libnpu/src/api/submission.h"
#include "libnpu/src/core/graph_exec.h"

using namespace npu;
using api::guard;

namespace {

// |make|(graph, &submission) checks what becomes the node.
template <typename Make>
Status add_node(npuGraph graph, uint32_t dep_count, const npuGraphNode* deps,
                npuGraphNode* out_node, Make&& make) {
  if (out_node != nullptr) *out_node = 0;
  Pin<Graph> pin;
  NPU_TRY(api::take(pin, graph, "graph"));
  if (dep_count != 0) NPU_TRY(api::need(deps, "deps"));
  Submission one;
  NPU_TRY(make(pin->context(), &one));
  NPU_TRY_ASSIGN(const uint32_t id, pin->add(one, {deps, dep_count}));
  if (out_node != nullptr) *out_node = id;
  return Status::ok();
}

Result<std::shared_ptr<ExternalWork>> make_work(const char* name, npuSubmitFunction function,
                                                npuReleaseFunction release, void* user_data) {
  constexpr size_t kNameMost = 63;
  NPU_TRY(api::need(name, "name"));
  if (function == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "function is NULL");
  if (strnlen(name, kNameMost + 1) > kNameMost) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "name has more than %zu characters", kNameMost);
  }
  return std::make_shared<ExternalWork>(name, function, release, user_data);
}

}  // namespace

extern "C" {

npuResult npuGraphCreate(npuContext context, npuGraph* out_graph) {
  return guard(__func__, NPU_ARGS(context, out_graph), [&]() -> Status {
    NPU_TRY(api::need(out_graph, "out_graph"));
    *out_graph = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    Ref<Graph> graph = make_ref<Graph>(pin.ref());
    return api::publish(Ref<Object>::adopt(graph.leak()), pin->children(), out_graph);
  });
}

npuResult npuGraphDestroy(npuGraph graph) {
  return guard(__func__, NPU_ARGS(graph), [&]() -> Status {
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(graph), Kind::kGraph, "graph", &object));
    if (object) static_cast<Graph&>(*object).context().children().remove(object.get());
    return Status::ok();
  });
}

npuResult npuGraphAddKernel(npuGraph graph, uint32_t dep_count, const npuGraphNode* deps,
                            npuKernel kernel, const npuLaunchInfo* info, npuGraphNode* out_node) {
  return guard(__func__, NPU_ARGS(graph, dep_count, deps, kernel, info, out_node), [&]() -> Status {
    Pin<Kernel> pin;
    return add_node(graph, dep_count, deps, out_node, [&](Context& context, Submission* out) {
      NPU_TRY(api::take(pin, kernel, "kernel"));
      return api::make_launch(context, *pin, info, out);
    });
  });
}

npuResult npuGraphAddCopy(npuGraph graph, uint32_t dep_count, const npuGraphNode* deps,
                          const npuCopyInfo* info, npuGraphNode* out_node) {
  return guard(__func__, NPU_ARGS(graph, dep_count, deps, info, out_node), [&]() -> Status {
    return add_node(graph, dep_count, deps, out_node, [&](Context& context, Submission* out) {
      return api::make_copy(context, info, out);
    });
  });
}

npuResult npuGraphAddFill(npuGraph graph, uint32_t dep_count, const npuGraphNode* deps,
                          npuDevPtr dst, uint64_t pattern, uint32_t pattern_bytes,
                          uint64_t size_bytes, npuGraphNode* out_node) {
  return guard(
      __func__, NPU_ARGS(graph, dep_count, deps, dst, pattern, pattern_bytes, size_bytes, out_node),
      [&]() -> Status {
        return add_node(graph, dep_count, deps, out_node, [&](Context& context, Submission* out) {
          return api::make_fill(context, dst, pattern, pattern_bytes, size_bytes, out);
        });
      });
}

npuResult npuGraphAddSignal(npuGraph graph, uint32_t dep_count, const npuGraphNode* deps,
                            npuDevPtr semaphore, uint64_t value, npuGraphNode* out_node) {
  return guard(
      __func__, NPU_ARGS(graph, dep_count, deps, semaphore, value, out_node), [&]() -> Status {
        return add_node(graph, dep_count, deps, out_node, [&](Context& context, Submission* out) {
          return api::make_signal(context, semaphore, value, out);
        });
      });
}

npuResult npuGraphAddWaitSemaphore(npuGraph graph, uint32_t dep_count, const npuGraphNode* deps,
                                   npuDevPtr semaphore, uint64_t value, npuGraphNode* out_node) {
  return guard(
      __func__, NPU_ARGS(graph, dep_count, deps, semaphore, value, out_node), [&]() -> Status {
        return add_node(graph, dep_count, deps, out_node, [&](Context& context, Submission* out) {
          return api::make_wait(context, semaphore, value, out);
        });
      });
}

npuResult npuGraphAddHostFunction(npuGraph graph, uint32_t dep_count, const npuGraphNode* deps,
                                  npuHostFunction function, void* user_data,
                                  npuGraphNode* out_node) {
  return guard(
      __func__, NPU_ARGS(graph, dep_count, deps, function, user_data, out_node), [&]() -> Status {
        return add_node(graph, dep_count, deps, out_node, [&](Context&, Submission* out) {
          NPU_TRY(function != nullptr ? Status::ok()
                                      : fail(NPU_ERROR_INVALID_ARGUMENT, "function is NULL"));
          out->host = {function, user_data};
          return Status::ok();
        });
      });
}

npuResult npuGraphAddSubmission(npuGraph graph, uint32_t dep_count, const npuGraphNode* deps,
                                const char* name, npuSubmitFunction function,
                                npuReleaseFunction release, void* user_data,
                                npuGraphNode* out_node) {
  return guard(
      __func__, NPU_ARGS(graph, dep_count, deps, name, function, release, user_data, out_node),
      [&]() -> Status {
        if (out_node != nullptr) *out_node = 0;
        Pin<Graph> pin;
        NPU_TRY(api::take(pin, graph, "graph"));
        if (dep_count != 0) NPU_TRY(api::need(deps, "deps"));
        NPU_TRY_ASSIGN(auto work, make_work(name, function, release, user_data));
        NPU_TRY_ASSIGN(const uint32_t id, pin->add_external(std::move(work), {deps, dep_count}));
        if (out_node != nullptr) *out_node = id;
        return Status::ok();
      });
}

npuResult npuQueueCaptureSubmission(npuQueue queue, const char* name, npuSubmitFunction function,
                                    npuReleaseFunction release, void* user_data,
                                    uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, name, function, release, user_data, out_value),
               [&]() -> Status {
                 if (out_value != nullptr) *out_value = 0;
                 Pin<Queue> pin;
                 NPU_TRY(api::take(pin, queue, "queue"));
                 NPU_TRY_ASSIGN(auto work, make_work(name, function, release, user_data));
                 uint64_t value = 0;
                 NPU_TRY(pin->capture_external(std::move(work), &value));
                 if (out_value != nullptr) *out_value = value;
                 return Status::ok();
               });
}

npuResult npuGraphAddChild(npuGraph graph, uint32_t dep_count, const npuGraphNode* deps,
                           npuGraph child, npuGraphNode* out_node) {
  return guard(__func__, NPU_ARGS(graph, dep_count, deps, child, out_node), [&]() -> Status {
    if (out_node != nullptr) *out_node = 0;
    Pin<Graph> pin;
    Pin<Graph> child_pin;
    NPU_TRY(api::take(pin, graph, "graph"));
    NPU_TRY(api::take(child_pin, child, "child"));
    if (dep_count != 0) NPU_TRY(api::need(deps, "deps"));
    if (&pin->context() != &child_pin->context()) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "the graphs belong to different contexts");
    }
    NPU_TRY_ASSIGN(const uint32_t id, pin->add_child(child_pin->nodes(), {deps, dep_count}));
    if (out_node != nullptr) *out_node = id;
    return Status::ok();
  });
}

npuResult npuGraphGetNodeCount(npuGraph graph, uint32_t* out_count) {
  return guard(__func__, NPU_ARGS(graph, out_count), [&]() -> Status {
    NPU_TRY(api::need(out_count, "out_count"));
    *out_count = 0;
    Pin<Graph> pin;
    NPU_TRY(api::take(pin, graph, "graph"));
    *out_count = pin->count();
    return Status::ok();
  });
}

npuResult npuQueueBeginCapture(npuQueue queue) {
  return guard(__func__, NPU_ARGS(queue), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    return pin->begin_capture();
  });
}

npuResult npuQueueEndCapture(npuQueue queue, npuGraph* out_graph) {
  return guard(__func__, NPU_ARGS(queue, out_graph), [&]() -> Status {
    NPU_TRY(api::need(out_graph, "out_graph"));
    *out_graph = nullptr;
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY_ASSIGN(Ref<Graph> graph, pin->end_capture());
    return api::publish(Ref<Object>::adopt(graph.leak()), pin->context().children(), out_graph);
  });
}

npuResult npuQueueIsCapturing(npuQueue queue, uint32_t* out_capturing) {
  return guard(__func__, NPU_ARGS(queue, out_capturing), [&]() -> Status {
    NPU_TRY(api::need(out_capturing, "out_capturing"));
    *out_capturing = 0;
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    *out_capturing = pin->is_capturing() ? 1 : 0;
    return Status::ok();
  });
}

npuResult npuGraphInstantiate(npuGraph graph, npuGraphExec* out_exec) {
  return guard(__func__, NPU_ARGS(graph, out_exec), [&]() -> Status {
    NPU_TRY(api::need(out_exec, "out_exec"));
    *out_exec = nullptr;
    Pin<Graph> pin;
    NPU_TRY(api::take(pin, graph, "graph"));
    NPU_TRY_ASSIGN(Ref<GraphExec> exec, GraphExec::create(*pin));
    return api::publish(Ref<Object>::adopt(exec.leak()), pin->context().children(), out_exec);
  });
}

npuResult npuGraphExecDestroy(npuGraphExec exec) {
  return guard(__func__, NPU_ARGS(exec), [&]() -> Status {
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(exec), Kind::kGraphExec, "exec", &object));
    if (!object) return Status::ok();
    auto& ended = static_cast<GraphExec&>(*object);
    ended.context().children().remove(&ended);
    ended.close();
    return Status::ok();
  });
}

npuResult npuGraphExecSetKernelArgs(npuGraphExec exec, npuGraphNode node, uint32_t offset_bytes,
                                    const void* data, uint32_t size_bytes) {
  return guard(__func__, NPU_ARGS(exec, node, offset_bytes, data, size_bytes), [&]() -> Status {
    Pin<GraphExec> pin;
    NPU_TRY(api::take(pin, exec, "exec"));
    NPU_TRY(api::need(data, "data"));
    return pin->set_args(node, offset_bytes, data, size_bytes);
  });
}

npuResult npuGraphExecUpdateNode(npuGraphExec exec, npuGraphNode node, const npuCommand* command) {
  return guard(__func__, NPU_ARGS(exec, node, command), [&]() -> Status {
    Pin<GraphExec> pin;
    NPU_TRY(api::take(pin, exec, "exec"));
    api::Batch one;
    NPU_TRY(one.read(pin->context(), command));
    return pin->update(node, one.submissions().front());
  });
}

npuResult npuGraphLaunch(npuGraphExec exec, npuQueue queue, uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(exec, queue, out_value), [&]() -> Status {
    if (out_value != nullptr) *out_value = 0;
    Pin<GraphExec> pin;
    Pin<Queue> queue_pin;
    NPU_TRY(api::take(pin, exec, "exec"));
    NPU_TRY(api::take(queue_pin, queue, "queue"));
    uint64_t value = 0;
    NPU_TRY(pin->launch(*queue_pin, &value));
    if (out_value != nullptr) *out_value = value;
    return Status::ok();
  });
}

npuResult npuGraphExecGetNodeTiming(npuGraphExec exec, npuGraphNode node, npuTiming* inout_timing) {
  return guard(__func__, NPU_ARGS(exec, node, inout_timing), [&]() -> Status {
    Pin<GraphExec> pin;
    NPU_TRY(api::take(pin, exec, "exec"));
    NPU_TRY(api::check_out_struct(inout_timing, "inout_timing"));
    npuTiming timing{};
    NPU_TRY(pin->timing(node, &timing.start_ps, &timing.end_ps));
    api::write_struct(inout_timing, timing);
    return Status::ok();
  });
}

npuResult npuGraphExecGetFault(npuGraphExec exec, npuGraphNode* out_node, npuFault* inout_fault) {
  return guard(__func__, NPU_ARGS(exec, out_node, inout_fault), [&]() -> Status {
    NPU_TRY(api::need(out_node, "out_node"));
    *out_node = 0;
    Pin<GraphExec> pin;
    NPU_TRY(api::take(pin, exec, "exec"));
    if (inout_fault != nullptr) NPU_TRY(api::check_out_struct(inout_fault, "inout_fault"));
    Fault fault;
    NPU_TRY(pin->failure(out_node, &fault));
    if (inout_fault == nullptr) return Status::ok();
    api::write_struct(inout_fault,
                      *out_node != 0 ? api::translate_fault(pin->context(), fault) : npuFault{});
    return Status::ok();
  });
}

npuResult npuGraphDump(npuGraph graph, npuGraphFormat format, uint64_t* inout_bytes, char* text) {
  return guard(__func__, NPU_ARGS(graph, format, inout_bytes, text), [&]() -> Status {
    NPU_TRY(api::need(inout_bytes, "inout_bytes"));
    Pin<Graph> pin;
    NPU_TRY(api::take(pin, graph, "graph"));
    if (format != NPU_GRAPH_JSON && format != NPU_GRAPH_DOT) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "format is %d, it must be 0 (JSON) or 1 (dot)",
                  format);
    }
    const std::string dump = format == NPU_GRAPH_JSON ? pin->to_json() : pin->to_dot();
    const uint64_t room = text != nullptr ? *inout_bytes : 0;
    *inout_bytes = dump.size() + 1;
    if (text == nullptr) return Status::ok();
    if (room == 0) return Status(NPU_INCOMPLETE);
    const size_t copied = static_cast<size_t>(std::min<uint64_t>(room - 1, dump.size()));
    std::memcpy(text, dump.data(), copied);
    text[copied] = '\0';
    return copied == dump.size() ? Status::ok() : Status(NPU_INCOMPLETE);
  });
}

}  // extern "C"
