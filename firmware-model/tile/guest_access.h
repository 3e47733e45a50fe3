// SPDX-License-Identifier: Apache-2.0
// The data of programs. Two of them, or a program and its host, may use one address at once without any order: that race is theirs, they get one value or the other, and the model stays whole.
// ThreadSanitizer is told so for the time of such an access, so that what it reports is about the model's own state.
#ifndef NPU_MODEL_TILE_GUEST_ACCESS_H_
#define NPU_MODEL_TILE_GUEST_ACCESS_H_

#ifdef __SANITIZE_THREAD__
// Of the sanitizer's run-time library.
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
#endif

namespace npu::model {

// From construction to destruction this thread touches guests' data. Nests.
class GuestAccess {
 public:
#ifdef __SANITIZE_THREAD__
  GuestAccess() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~GuestAccess() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
#else
  GuestAccess() {}  // not defaulted: a variable that is never used is meant
#endif
  GuestAccess(const GuestAccess&) = delete;
  GuestAccess& operator=(const GuestAccess&) = delete;
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_GUEST_ACCESS_H_
