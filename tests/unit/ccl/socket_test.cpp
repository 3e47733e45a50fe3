// SPDX-License-Identifier: Apache-2.0
// Sockets that others have made.
#include "libnpu/ccl/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace npu::ccl {
namespace {

NetAddress own_end(int fd) {
  sockaddr_in address{};
  socklen_t bytes = sizeof(address);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  return from_socket(reinterpret_cast<const sockaddr*>(&address)).value_or(NetAddress{});
}

sockaddr_in loopback_port(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

TEST(FindTcpTest, NothingElseWithTheSameAddressesIsFound) {
  // The lower descriptor, which is looked at first.
  const Fd other(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_TRUE(other);
  NetAddress place = loopback(0);
  const Fd listener = listen_tcp(&place);
  ASSERT_TRUE(listener);
  const Fd client = connect_tcp(place, Clock::now() + std::chrono::seconds(10));
  ASSERT_TRUE(client);
  const NetAddress own = own_end(client.get());
  EXPECT_EQ(find_tcp(own, place), client.get());

  const sockaddr_in from = loopback_port(own.port), to = loopback_port(place.port);
  if (bind(other.get(), reinterpret_cast<const sockaddr*>(&from), sizeof(from)) != 0) {
    GTEST_SKIP() << "somebody has the port";
  }
  ASSERT_EQ(connect(other.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  EXPECT_EQ(find_tcp(own, place), client.get());
  EXPECT_EQ(find_tcp(place, place), -1);
}

}  // namespace
}  // namespace npu::ccl
