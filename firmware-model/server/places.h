// SPDX-License-Identifier: Apache-2.0
// Where things lie in the file system: installed data, accepted keys, the folder of sockets.
//
// Thread safety: pure but for reading the environment.
#ifndef NPU_MODEL_SERVER_PLACES_H_
#define NPU_MODEL_SERVER_PLACES_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace npu::model::server {

using PublicKey = std::array<uint8_t, 32>;

// <prefix>/share/npu of the library or program that this code is part of.
std::string shared_directory();

// $XDG_RUNTIME_DIR/npu, or /tmp/npu-<uid> when that is unset.
std::string runtime_directory();
// Makes it, or checks that it is ours with mode 0700. False: |error| says why.
bool ensure_runtime_directory(const std::string& directory, std::string* error);

// Reads the keys of every *.pub file (64 hex digits) of a folder, in order of their names. A folder that does not exist has none. False: a file or
// the folder may be written by others, or a file does not hold a key.
bool read_keys(const std::string& directory, std::vector<PublicKey>* keys, std::string* error);
// Keys that a device accepts by default: installed ones, those of this build, those of the owner.
bool default_keys(std::vector<PublicKey>* keys, std::string* error);

// PROFILE or PROFILE*COUNT. False: |error| says what is allowed.
bool parse_spec(const std::string& spec, std::string* profile, uint32_t* count, std::string* error);

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_PLACES_H_
