// SPDX-License-Identifier: Apache-2.0
// Children: the objects that were made in another one and end with it. Adding and removing cost the same however many there are.
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "libnpu/src/core/object.h"

namespace npu {

class Children {
 public:
  // False once close() was called: the parent is ending.
  bool add(Object* child) {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    children_.insert(child);
    return true;
  }
  void remove(Object* child) {
    std::lock_guard lock(mutex_);
    children_.erase(child);
  }
  // All children, and no more to come.
  std::vector<Ref<Object>> close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    std::vector<Ref<Object>> all;
    all.reserve(children_.size());
    for (Object* child : children_) all.push_back(Ref<Object>::share(child));
    children_.clear();
    return all;
  }
  std::vector<Ref<Object>> all() {
    std::lock_guard lock(mutex_);
    std::vector<Ref<Object>> all;
    all.reserve(children_.size());
    for (Object* child : children_) all.push_back(Ref<Object>::share(child));
    return all;
  }

  void reopen() {
    std::lock_guard lock(mutex_);
    closed_ = false;
  }

 private:
  std::mutex mutex_;
  bool closed_ = false;
  std::unordered_set<Object*> children_;
};

}  // namespace npu
