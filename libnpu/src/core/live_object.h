// SPDX-License-Identifier: Apache-2.0
// What is alive: objects with handles and memory, each with the call that made it (npuProfGetObjects, the layer "leak").
#pragma once

#include <npu/npu_prof.h>

#include <vector>

namespace npu {

class Library;

std::vector<npuProfObject> live_objects(Library& library);

// Writes the list to the log; |when| begins the sentence.
void log_live_objects(Library& library, const char* when);

}  // namespace npu
