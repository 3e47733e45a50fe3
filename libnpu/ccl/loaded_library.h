// SPDX-License-Identifier: Apache-2.0
// LoadedLibrary: a library that is looked for when it is first needed, so that who does not need it needs not have it. Never unloaded: such libraries leave threads and hooks behind.
#pragma once

#include <dlfcn.h>

#include <string>

namespace npu::ccl {

struct LoadedLibrary {
  // |name|: as a sentence begins; |package|: of Debian.
  LoadedLibrary(const char* file_name, const std::string& name, const std::string& package)
      : file(file_name), handle(dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
    if (handle != nullptr) return;
    error = name + " is not there (" + dlerror() + "); install it (Debian: apt-get install " +
            package + ")";
  }
  template <typename Function>
  void find(const char* name, Function* out) {
    if (handle == nullptr) return;
    *out = reinterpret_cast<Function>(dlsym(handle, name));
    if (*out == nullptr) error = std::string(file) + " has no function " + name;
  }

  const char* const file;
  void* const handle;
  std::string error;  // empty: all was found
};

}  // namespace npu::ccl
