// SPDX-License-Identifier: Apache-2.0
// One client: its commands, in the order in which they come, on a function of its own.
//
// What is framed well but wrong gets an error reply; broken framing, or a file shrunk under a
// mapping, ends the session.
// Thread safety: the I/O thread.
#ifndef NPU_MODEL_VFIO_USER_SESSION_H_
#define NPU_MODEL_VFIO_USER_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "firmware-model/vfio_user/channel.h"
#include "firmware-model/vfio_user/pci_function.h"
#include "firmware-model/vfio_user/version.h"
#include "firmware-model/vfio_user/wire.h"

namespace npu::model::vfio_user {

class Session {
 public:
  Session(UniqueFd socket, std::unique_ptr<PciFunction> function)
      : channel_(std::move(socket)), function_(std::move(function)) {}

  int fd() const { return channel_.fd(); }
  // False, here and below: the session has ended; why() says more, empty when the client left.
  bool on_readable();
  bool on_writable();
  // In-band requests of device threads are waiting, or a device of the bus has left its place.
  bool on_wake();
  const std::string& why() const { return why_; }

  bool wants_read() const { return !channel_.full(); }
  bool wants_write() const { return channel_.has_waiting(); }
  // Frees withdrawn memory that the device has let go of. False: some is left.
  bool collect() { return function_->collect(); }

 private:
  // What a handler has to say: 0 or errno, and the payload of a good reply.
  struct Reply {
    int error = 0;
    std::vector<std::byte> body;
    int fd = -1;  // lent
  };
  using Bytes = std::span<const std::byte>;

  bool handle(Message& message);
  bool handle_reply(const Message& message);
  Reply dispatch(Message& message);
  Reply dispatch_plain(const Message& message);
  Reply version(Bytes body);
  Reply dma_map(Message& message);
  Reply dma_unmap(Bytes body);
  Reply device_info(Bytes body) const;
  Reply region_info(Bytes body) const;
  Reply irq_info(Bytes body) const;
  Reply set_irqs(Message& message);
  int set_vectors(const wire::IrqSet& set, Bytes data, std::vector<UniqueFd>& fds);
  Reply region_read(Bytes body);
  Reply region_write(Bytes body);
  Reply region_write_multi(Bytes body);
  Reply reset(Bytes body);

  template <typename T>
  static Reply with_body(const T& value);
  static Reply failed(int error) { return {error, {}, -1}; }
  bool end(std::string why);

  Channel channel_;
  std::unique_ptr<PciFunction> function_;
  Capabilities client_;
  bool greeted_ = false;
  bool fatal_ = false;  // the client's memory cannot be kept safe from the device in any other way
  std::string why_;
};

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_SESSION_H_
