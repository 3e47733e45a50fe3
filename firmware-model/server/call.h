// SPDX-License-Identifier: Apache-2.0
// One request while it is answered: its struct, arrays and files, and the reply that grows.
//
// Structs and arrays follow the growing rule of npu_accel.h: shorter ones are filled up with zeros, longer ones are taken when their tail is
// zero. Thread safety: none.
#ifndef NPU_MODEL_SERVER_CALL_H_
#define NPU_MODEL_SERVER_CALL_H_

#include <errno.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "firmware-model/server/frame.h"
#include "firmware-model/server/unique_fd.h"
#include "uapi/npu_wire.h"

namespace npu::model::server {

// A frame on its way out.
struct Reply {
  npu_frame header{};
  std::vector<std::byte> body;
  std::vector<std::byte> payload;
  std::vector<UniqueFd> fds;
};

// Copies a struct of |from| bytes into one of |to| bytes. 0, or E2BIG: the tail is not zero.
int copy_grown(const std::byte* from, size_t from_bytes, void* to, size_t to_bytes);

class Call {
 public:
  Call(const Frame& frame, std::vector<UniqueFd> fds);

  uint32_t number() const { return header_.call; }
  size_t fd_count() const { return fds_.size(); }

  // The struct as this server knows it. EINVAL: shorter than |min_bytes|.
  int read_struct(void* out, size_t bytes, size_t min_bytes) const;

  // All elements of an IN array that npu_validate_array() has passed. EFAULT: not inside the payload.
  template <typename T>
  int read_array(const npu_array& array, std::vector<T>* out) const {
    std::span<const std::byte> bytes;
    const int err = locate(array, &bytes);
    if (err != 0) return err;
    out->assign(array.count, T{});
    for (size_t i = 0; i < array.count; ++i) {
      const int tail =
          copy_grown(bytes.data() + i * array.stride, array.stride, &(*out)[i], sizeof(T));
      if (tail != 0) return tail;
    }
    return 0;
  }

  // Fills an OUT array with as many of |elements| as were asked for; count becomes the number that exist. EINVAL: ptr is
  // not 0. E2BIG: the reply would be too long.
  template <typename T>
  int write_array(npu_array* array, const std::vector<T>& elements) {
    return write_elements(array, reinterpret_cast<const std::byte*>(elements.data()), sizeof(T),
                          elements.size());
  }

  // The file that a member `fd` names. EINVAL: the frame brought no such file.
  int take_fd(int index, UniqueFd* out);
  // A file for the reply; returns its index.
  int give_fd(UniqueFd fd);

  // The reply: |args| goes back when it is not null, in as many bytes as came.
  Reply reply(int error, const void* args, size_t bytes);

 private:
  int locate(const npu_array& array, std::span<const std::byte>* out) const;
  int write_elements(npu_array* array, const std::byte* elements, size_t element_bytes,
                     size_t count);

  npu_frame header_;
  std::vector<std::byte> body_;  // as it came
  std::span<const std::byte> payload_;
  std::vector<UniqueFd> fds_;
  std::vector<std::byte> out_payload_;
  std::vector<UniqueFd> out_fds_;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_CALL_H_
