// SPDX-License-Identifier: Apache-2.0
// Calls as frames of the socket road, both ways. Pure: no socket. What there is to know of a call comes from calls.def (npu_call_describe).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "uapi/npu_wire.h"

namespace npu {

// Describes a call or one of the socket's own verbs. False: no such number.
bool describe_message(uint32_t nr, npu_call_desc* out);

struct Request {
  std::vector<std::byte> bytes;  // header, struct, payload
  int fd = -1;                   // to be sent along, or -1
};

// Builds the frame of call |desc| with the struct at |args|. 0, or E2BIG when it exceeds a frame, EINVAL for an array that is none.
int build_request(const npu_call_desc& desc, const void* args, uint32_t sequence, Request* out);

// The whole length of the frame that begins |bytes|: 0 if more bytes are needed to tell, -1 if it is no frame of a server.
int64_t frame_length(std::span<const std::byte> bytes);

// Takes the reply to |desc| apart: writes outputs into the struct at |args| and its arrays. |fds| came with the frame; the one that the struct names
// becomes its member, *used_fd its index (-1: none). 0, the server's errno, or EPROTO for a reply that breaks the protocol (*broken is set then).
int read_reply(const npu_call_desc& desc, std::span<const std::byte> frame, uint32_t sequence,
               std::span<const int> fds, void* args, int* used_fd, bool* broken);

}  // namespace npu
