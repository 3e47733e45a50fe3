// SPDX-License-Identifier: Apache-2.0
// A good call of each kind, from which one thing at a time is made wrong.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/uapi/parity/session.h"

namespace npu::parity {

// A session with one of everything, and objects of another file whose ids mean nothing in it.
struct Scene {
  Scene(Road* road, Log* log);

  Session own;
  Session foreign;
  uint32_t vm = 0;
  npu_bo_create hbm{};
  npu_bo_create system{};
  QueueParts queue;
  QueueParts spare;  // its memory is mapped, no queue uses it
  uint32_t foreign_vm = 0;
  uint32_t foreign_object = 0;
  uint32_t foreign_queue = 0;
  int event_fd = -1;
  ~Scene();
};

struct Prepared {
  Bytes args;
  std::vector<ArrayArg> arrays;
  std::vector<std::string> elements;  // struct of each array's elements
  int fd = -1;
};

struct Base {
  const char* label;  // of its cases
  uint32_t nr;
  std::string type;  // "npu_vm_create"
  std::function<Prepared(Scene&)> prepare;
  // After the call: takes back what it made. |after|: the struct as it came back.
  std::function<void(Scene&, const Bytes& after, int error)> undo = [](Scene&, const Bytes&, int) {
  };
};

const std::vector<Base>& all_bases();

}  // namespace npu::parity
