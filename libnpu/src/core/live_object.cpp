// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/live_object.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/library.h"
#include "libnpu/src/core/log.h"
#include "libnpu/src/core/time.h"

namespace npu {
namespace {

// More lines help nobody.
constexpr size_t kLinesMost = 200;

npuProfObject make(const char* kind, uint64_t handle, uint64_t size_bytes, const Birth& birth) {
  npuProfObject object{};
  object.struct_size = sizeof object;
  object.handle = handle;
  object.size_bytes = size_bytes;
  std::snprintf(object.kind, sizeof object.kind, "%s", kind);
  if (birth.function == nullptr) return object;
  object.correlation_id = birth.call_id;
  object.age_ns = Deadline::now_ns() - birth.time_ns;
  std::snprintf(object.function, sizeof object.function, "%s", birth.function);
  return object;
}

uint64_t size_of(const Object& object) {
  if (object.kind() != Kind::kQueue) return 0;
  return static_cast<const Queue&>(object).ring_bytes();
}

void add(const Ref<Object>& object, std::vector<npuProfObject>* out) {
  out->push_back(
      make(kind_name(object->kind()), object->handle(), size_of(*object), object->birth()));
}

}  // namespace

std::vector<npuProfObject> live_objects(Library& library) {
  std::vector<npuProfObject> out;
  for (const Ref<Object>& device : library.devices().all()) {
    add(device, &out);
    for (const Ref<Object>& child : static_cast<Device&>(*device).children().all()) {
      add(child, &out);
      if (child->kind() != Kind::kContext) continue;
      auto& context = static_cast<Context&>(*child);
      for (const Ref<Object>& object : context.children().all()) add(object, &out);
      for (const Memory::Live& live : context.memory().live()) {
        out.push_back(make(live.kind, live.dva, live.size_bytes, live.birth));
      }
    }
  }
  // The oldest first; what nobody saw being made before it.
  std::stable_sort(out.begin(), out.end(), [](const npuProfObject& a, const npuProfObject& b) {
    return a.correlation_id < b.correlation_id;
  });
  return out;
}

void log_live_objects(Library& library, const char* when) {
  const std::vector<npuProfObject> objects = live_objects(library);
  if (objects.empty()) return;
  uint64_t bytes = 0;
  for (const npuProfObject& object : objects) bytes += object.size_bytes;
  log_message(LogLevel::kWarn, "leak: %s %zu objects are alive, with %" PRIu64 " bytes", when,
              objects.size(), bytes);
  for (size_t i = 0; i < objects.size() && i < kLinesMost; i++) {
    const npuProfObject& object = objects[i];
    char birth[128] = "nobody watched when it was made";
    if (object.function[0] != '\0') {
      std::snprintf(birth, sizeof birth, "made %.3f s ago by %s (call %" PRIu64 ")",
                    static_cast<double>(object.age_ns) * 1e-9, object.function,
                    object.correlation_id);
    }
    log_message(LogLevel::kWarn, "leak: %s 0x%" PRIx64 ", %" PRIu64 " bytes, %s", object.kind,
                object.handle, object.size_bytes, birth);
  }
  if (objects.size() > kLinesMost) {
    log_message(LogLevel::kWarn, "leak: and %zu more", objects.size() - kLinesMost);
  }
}

}  // namespace npu
