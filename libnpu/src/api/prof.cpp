// SPDX-License-Identifier: Apache-2.0
// npu_prof.h, activities and callbacks: check, call, translate.
#include <npu/npu_prof.h>

#include <vector>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/activity.h"
#include "libnpu/src/core/live_object.h"
#include "libnpu/src/core/subscriber.h"

using namespace npu;
using api::guard;

namespace {

// Writes |from| to the caller's array, whose elements may be of another size.
template <typename T>
void write_array(T* array, const std::vector<T>& from, uint32_t count) {
  const uint32_t stride = count > 0 ? array->struct_size : 0;
  auto* at = reinterpret_cast<unsigned char*>(array);
  for (uint32_t i = 0; i < count; i++, at += stride) {
    auto* element = reinterpret_cast<T*>(at);
    element->struct_size = stride;
    api::write_struct(element, from[i]);
  }
}

Status need_library() {
  const Result<Library*> library = Library::get();
  return library.status();
}

}  // namespace

extern "C" {

npuResult npuProfStart(const npuProfInfo* info) {
  return guard(__func__, NPU_ARGS(info), [&]() -> Status {
    npuProfInfo asked{};
    NPU_TRY(need_library());
    NPU_TRY(api::read_struct(info, "info", &asked));
    if (asked.reserved != 0) return fail(NPU_ERROR_RESERVED_NOT_ZERO, "info->reserved is not 0");
    return Activities::start(asked.kinds, asked.capacity_records);
  });
}

npuResult npuProfStop(void) {
  return guard(__func__, NPU_ARGS(), []() -> Status {
    NPU_TRY(need_library());
    return Activities::stop();
  });
}

npuResult npuProfFlush(int64_t timeout_ns) {
  return guard(__func__, NPU_ARGS(timeout_ns), [&]() -> Status {
    NPU_TRY(need_library());
    NPU_TRY(api::check_timeout(timeout_ns));
    return Activities::flush(Deadline::in(timeout_ns));
  });
}

npuResult npuProfRead(uint32_t* inout_count, npuProfActivity* array, uint64_t* out_dropped) {
  return guard(__func__, NPU_ARGS(inout_count, array, out_dropped), [&]() -> Status {
    if (out_dropped != nullptr) *out_dropped = 0;
    NPU_TRY(need_library());
    NPU_TRY(api::need(inout_count, "inout_count"));
    const uint32_t room = array != nullptr ? *inout_count : 0;
    *inout_count = 0;
    if (room > 0) NPU_TRY(api::check_out_struct(array, "array"));
    // Copied twice, since the caller's elements may be of another size. In pieces: the room may be more than there is.
    uint32_t left = 0;
    uint64_t dropped = 0;
    NPU_TRY(Activities::read(0, nullptr, inout_count, &left, &dropped));
    if (array == nullptr) {
      *inout_count = left;
    } else {
      std::vector<npuProfActivity> records(std::min(room, left));
      NPU_TRY(Activities::read(static_cast<uint32_t>(records.size()), records.data(), inout_count,
                               &left, &dropped));
      write_array(array, records, *inout_count);
    }
    if (out_dropped != nullptr) *out_dropped = dropped;
    return array != nullptr && left > 0 ? Status(NPU_INCOMPLETE) : Status::ok();
  });
}

npuResult npuProfSubscribe(npuProfCallback callback, void* user_data,
                           npuProfSubscriber* out_subscriber) {
  return guard(__func__, NPU_ARGS(callback, user_data, out_subscriber), [&]() -> Status {
    NPU_TRY(api::need(out_subscriber, "out_subscriber"));
    *out_subscriber = nullptr;
    if (callback == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "callback is NULL");
    uint64_t handle = 0;
    NPU_TRY(Subscribers::add(callback, user_data, &handle));
    *out_subscriber = reinterpret_cast<npuProfSubscriber>(static_cast<uintptr_t>(handle));
    return Status::ok();
  });
}

npuResult npuProfUnsubscribe(npuProfSubscriber subscriber) {
  return guard(__func__, NPU_ARGS(subscriber), [&]() -> Status {
    if (subscriber == nullptr) return Status::ok();
    return Subscribers::remove(api::number_of(subscriber));
  });
}

npuResult npuProfGetObjects(uint32_t* inout_count, npuProfObject* array) {
  return guard(__func__, NPU_ARGS(inout_count, array), [&]() -> Status {
    NPU_TRY_ASSIGN(Library * library, Library::get());
    NPU_TRY(api::need(inout_count, "inout_count"));
    const uint32_t room = array != nullptr ? *inout_count : 0;
    if (room > 0) NPU_TRY(api::check_out_struct(array, "array"));
    const std::vector<npuProfObject> objects = live_objects(*library);
    *inout_count = static_cast<uint32_t>(objects.size());
    if (array == nullptr) return Status::ok();
    *inout_count = std::min(room, *inout_count);
    write_array(array, objects, *inout_count);
    return objects.size() > room ? Status(NPU_INCOMPLETE) : Status::ok();
  });
}

}  // extern "C"
