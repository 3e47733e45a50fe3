// SPDX-License-Identifier: Apache-2.0
// Every member of every call, and of every element of its arrays, wrong in turn. The members come from layout.def, so a new one is tested from its first day.
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>

#include "tests/uapi/parity/bases.h"

namespace npu::parity {
namespace {

struct Member {
  const char* type;
  const char* name;
  uint32_t offset;
  uint32_t bytes;
};

constexpr Member kMembers[] = {
#define NPU_LAYOUT(type, member, offset, bytes) {#type, #member, offset, bytes},
#define NPU_LAYOUT_SIZE(type, bytes)
#include "tests/uapi/layout.def"
};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

enum class MemberKind { kPad, kId, kFile, kNumber32, kNumber64, kBlob, kArray, kStruct };

MemberKind kind_of(const Member& member) {
  const std::string name = member.name;
  if (name.rfind("pad", 0) == 0) return MemberKind::kPad;
  if (name == "fd") return MemberKind::kFile;
  if (name == "cond") return MemberKind::kStruct;
  if (member.bytes == 4) {
    return ends_with(name, "_id") || ends_with(name, "handle") ? MemberKind::kId
                                                               : MemberKind::kNumber32;
  }
  if (member.bytes == 8) return MemberKind::kNumber64;
  return member.bytes == sizeof(npu_array) ? MemberKind::kArray : MemberKind::kBlob;
}

std::vector<uint64_t> values_of(MemberKind kind) {
  switch (kind) {
    case MemberKind::kPad:
      return {1, 0x80000000};
    case MemberKind::kId:
      return {0, kUnknownId, 0xffffffff};
    case MemberKind::kFile:
      return {0xffffffff, 0xfffffffe};
    case MemberKind::kNumber32:
      // 2 is left out: where it is a priority, the answer depends on the user.
      return {0, 1, 3, 5, 0x10000, 0x80000000, 0xffffffff};
    case MemberKind::kNumber64:
      return {0, 1, 8, 0x1000, 0x1001, 0x10000, 1ull << 47, 1ull << 63, ~0ull};
    default:
      return {};
  }
}

// The id of another file for a member that holds one.
uint64_t foreign_id(const Scene& scene, const std::string& name) {
  if (ends_with(name, "vm_id")) return scene.foreign_vm;
  if (ends_with(name, "queue_id")) return scene.foreign_queue;
  return ends_with(name, "handle") ? scene.foreign_object : 0;
}

using Change = std::function<void(Prepared*)>;

void run_case(Scene& scene, const Base& base, const std::string& name, const Change& change) {
  Prepared prepared = base.prepare(scene);
  const Bytes good = prepared.args;
  change(&prepared);
  Bytes args = prepared.args;
  const int error = scene.own.logged_bytes(name, base.nr, &args, prepared.arrays, prepared.fd);
  // After an error the good struct tells what was prepared for the call.
  base.undo(scene, error == 0 ? args : good, error);
  if (prepared.fd >= 0 && prepared.fd != scene.event_fd) close(prepared.fd);
}

// |put| writes |size| bytes of a value into the struct or element under test.
using Put = std::function<void(Prepared*, uint32_t offset, const void* value, uint32_t size)>;

void run_member(Scene& scene, const Base& base, const Member& member, const std::string& prefix,
                const Put& put) {
  const MemberKind kind = kind_of(member);
  std::vector<uint64_t> values = values_of(kind);
  std::vector<std::string> names;
  for (const uint64_t value : values) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%" PRIx64, value);
    names.push_back(text);
  }
  if (const uint64_t foreign = foreign_id(scene, member.name);
      kind == MemberKind::kId && foreign != 0) {
    values.push_back(foreign);
    names.push_back("foreign");
  }
  for (size_t i = 0; i < values.size(); i++) {
    run_case(scene, base, prefix + member.name + "=" + names[i], [&](Prepared* prepared) {
      if (kind == MemberKind::kFile) {
        if (prepared->fd >= 0 && prepared->fd != scene.event_fd) close(prepared->fd);
        prepared->fd = -1;
      }
      put(prepared, member.offset, &values[i], member.bytes);
    });
  }
  if (kind != MemberKind::kBlob) return;
  const uint8_t byte = 0x81;
  run_case(scene, base, prefix + member.name + ".first=0x81",
           [&](Prepared* prepared) { put(prepared, member.offset, &byte, 1); });
  run_case(scene, base, prefix + member.name + ".last=0x81",
           [&](Prepared* prepared) { put(prepared, member.offset + member.bytes - 1, &byte, 1); });
}

// Members of |type|, and of structs inside it; arrays are the matter of shapes.cpp.
void run_members(Scene& scene, const Base& base, const std::string& type, const std::string& prefix,
                 uint32_t shift, const Put& put) {
  for (const Member& member : kMembers) {
    if (member.type != type || kind_of(member) == MemberKind::kArray) continue;
    if (kind_of(member) == MemberKind::kStruct) {
      run_members(scene, base, "npu_cond", prefix + member.name + ".", shift + member.offset, put);
      continue;
    }
    Member moved = member;
    moved.offset += shift;
    run_member(scene, base, moved, prefix, put);
  }
}

void run_base(Road* road, Log* log, const Base& base) {
  Scene scene(road, log);
  const std::string label = base.label;
  run_case(scene, base, label, [](Prepared*) {});
  run_members(scene, base, base.type, label + ".", 0,
              [](Prepared* prepared, uint32_t offset, const void* value, uint32_t size) {
                std::memcpy(prepared->args.data() + offset, value, size);
              });
  const Prepared shape = base.prepare(scene);
  for (size_t i = 0; i < shape.arrays.size(); i++) {
    if (shape.elements[i].empty()) continue;
    run_members(scene, base, shape.elements[i], label + ".[0].", 0,
                [i](Prepared* prepared, uint32_t offset, const void* value, uint32_t size) {
                  std::memcpy(prepared->arrays[i].memory->data() + offset, value, size);
                });
  }
  base.undo(scene, shape.args, EINVAL);
  run_case(scene, base, label + ".again", [](Prepared*) {});
}

}  // namespace

void run_fields(Road* road, Log* log) {
  for (const Base& base : all_bases()) run_base(road, log, base);
}

}  // namespace npu::parity
