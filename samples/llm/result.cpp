// SPDX-License-Identifier: Apache-2.0
//
// Printed names of the sample's error codes.
#include "samples/llm/result.h"

namespace npu::llm {

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kTruncated:
      return "truncated";
    case ErrorCode::kTooLong:
      return "too long";
    case ErrorCode::kBadFormat:
      return "bad format";
    case ErrorCode::kBadValue:
      return "bad value";
    case ErrorCode::kMismatch:
      return "mismatch";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kOutOfRange:
      return "out of range";
    case ErrorCode::kNoMemory:
      return "no memory";
    case ErrorCode::kDevice:
      return "device";
  }
  return "unknown";
}

}  // namespace npu::llm
