// SPDX-License-Identifier: Apache-2.0
// Feeds a byte stream to a connection of a live device server that holds a few objects already.
//
// Every input gets its own connection: HELLO, one VM (1), an HBM object (1), a SYNC object (2), then the bytes, then the end of the stream. The
// server must answer or end the connection, and serve the next one.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "firmware-model/server/profile.h"
#include "firmware-model/server/server.h"
#include "tests/unit/server/raw_client.h"

namespace {

using npu::model::test::Bytes;
using npu::model::test::RawClient;
namespace server = npu::model::server;

[[noreturn]] void die(const std::string& why) {
  fprintf(stderr, "fuzz_frame: %s\n", why.c_str());
  abort();
}

// Lives as long as the process.
server::Server* the_server() {
  static server::Server* const instance = [] {
    server::ServerOptions options;
    std::string error;
    if (!server::load_profile(NPU_TEST_PROFILE_DIR "/tiny.toml", &options.profile,
                              &options.bindings, &error))
      die(error);
    options.worker_threads = 1;
    std::unique_ptr<server::Server> made = server::Server::create(options, &error);
    if (made == nullptr) die(error);
    server::Server* const raw = made.release();
    std::thread([raw] { raw->run(); }).detach();
    return raw;
  }();
  return instance;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) die("no socket");
  the_server()->adopt(server::UniqueFd(pair[0]));
  RawClient client(pair[1]);
  if (client.hello() != 0) die("the server does not greet any more");
  client.vm_create();
  client.bo_create(1 << 20, NPU_REGION_HBM);
  client.bo_create(0x4000, NPU_REGION_SYSTEM, NPU_BO_SYNC);
  client.send_bytes(Bytes(data, data + size));
  shutdown(client.socket(), SHUT_WR);
  if (!client.is_closed()) die("the server neither answers nor ends the connection");
  return 0;
}
