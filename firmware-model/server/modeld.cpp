// SPDX-License-Identifier: Apache-2.0
// npu-modeld: serves devices on a Unix socket until nobody needs them (uapi/npu_model.h), or as PCI
// functions to virtual machines (vfio_host.h).
//
// Exit status: 0 ended (idle or by a signal), 1 could not start, 2 wrong use, 3 another server holds the socket.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <vector>

#include "firmware-model/server/places.h"
#include "firmware-model/server/sandbox.h"
#include "firmware-model/server/server.h"
#include "firmware-model/server/start.h"
#include "firmware-model/server/vfio_host.h"
#include "uapi/npu_accel.h"
#include "uapi/npu_isa.h"
#include "uapi/npu_model.h"

namespace npu::model::server {
namespace {

constexpr int kStatusFailed = 1;
constexpr int kStatusUsage = 2;
constexpr int kStatusLocked = 3;

struct Arguments {
  std::string spec = NPU_MODEL_DEFAULT_SPEC;
  std::string socket;
  std::vector<std::string> vfio_user;
  uint32_t idle_exit = 0;
  std::string threads;
  std::string numerics;
  std::string keys;
  std::string profiles;
  std::string sandbox;
  std::vector<std::string> injections;
  bool check = false;
  bool production = false;
  bool one_machine = false;
};

int fail(int status, const std::string& text) {
  fprintf(stderr, "npu-modeld: %s\n", text.c_str());
  return status;
}

// Where clients look for a server of this spec.
std::string default_socket(const std::string& spec) {
  std::string name = spec;
  for (char& c : name) {
    if (c == '*') c = 'x';
  }
  return runtime_directory() + "/" + name + ".sock";
}

// Status 0, or the one to end with.
int take_lock(const std::string& socket, UniqueFd* out, std::string* error) {
  const std::string path = socket + ".lock";
  *out = UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!out->valid()) {
    *error = path + " cannot be opened: " + std::strerror(errno) +
             "; give a socket in a folder that exists and is yours";
    return kStatusFailed;
  }
  if (flock(out->get(), LOCK_EX | LOCK_NB) == 0) return 0;
  *error = "another server holds " + path + "; use that one, end it, or give another --socket";
  return kStatusLocked;
}

int listen_at(const std::string& path, UniqueFd* out, std::string* error) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    *error = path + " is too long for a socket; at most " +
             std::to_string(sizeof(address.sun_path) - 1) + " characters";
    return kStatusFailed;
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  *out = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // The lock is ours, so a socket that lies there belongs to nobody. Anything else is somebody's.
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      *error = path + " exists and is no socket; give --socket or --vfio-user another path";
      return kStatusFailed;
    }
    unlink(path.c_str());
  }
  const mode_t before = umask(0177);
  const bool bound =
      out->valid() && bind(out->get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  umask(before);
  if (bound && listen(out->get(), SOMAXCONN) == 0) return 0;
  *error = path + " cannot be listened at: " + std::strerror(errno);
  return kStatusFailed;
}

// SIGTERM and SIGINT end the I/O loop; a reader that has gone is an error code, not a signal.
UniqueFd catch_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// Every object that can be mapped holds a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

bool make_options(const Arguments& arguments, ServerOptions* options, std::string* error) {
  if (!arguments.profiles.empty()) setenv("NPU_PROFILE_DIR", arguments.profiles.c_str(), 1);
  if (!options_from_spec(arguments.spec, options, error)) return false;
  if (!arguments.threads.empty() && !parse_threads(arguments.threads, &options->worker_threads)) {
    *error = "--threads is '" + arguments.threads + "'; allowed: 0 (one a CPU) to 1024";
    return false;
  }
  if (!arguments.numerics.empty()) parse_numerics(arguments.numerics, &options->scalar_numerics);
  if (arguments.check) options->checks = true;
  options->production = arguments.production;
  for (const std::string& fault : arguments.injections) {
    if (!parse_injection(fault, &options->injections.emplace_back(), error)) return false;
  }
  if (arguments.keys.empty()) return default_keys(&options->keys, error);
  if (!read_keys(arguments.keys, &options->keys, error)) return false;
  if (!options->keys.empty()) return true;
  // Devices without a key would refuse every blob, long after the mistake.
  *error = "--keys: " + arguments.keys + " holds no *.pub file; 'npu-fw keygen' makes one";
  return false;
}

// Serves until nobody needs it; status.
int serve_on(UniqueFd listener, UniqueFd signals, const ServerOptions& options,
             const Arguments& arguments, const std::string& socket) {
  std::string error;
  if (arguments.sandbox == "basic" && !enter_sandbox(&error)) return fail(kStatusFailed, error);
  const std::unique_ptr<Server> server = Server::create(options, &error);
  if (server == nullptr) return fail(kStatusFailed, error);
  server->set_idle_exit(arguments.idle_exit);
  if (server->listen_on(std::move(listener)) != 0 || server->stop_on(std::move(signals)) != 0) {
    return fail(kStatusFailed, "no file descriptor left");
  }
  printf("ready %s\n", socket.c_str());
  fflush(stdout);
  server->run();
  return 0;
}

// The lock and the listening socket of one path.
struct Place {
  std::string path;
  UniqueFd lock;
  UniqueFd listener;
};

int take_place(const std::string& path, Place* out, std::string* error) {
  out->path = path;
  const int status = take_lock(path, &out->lock, error);
  return status != 0 ? status : listen_at(path, &out->listener, error);
}

// One device for each path, until a signal or for as long as somebody uses one of them.
int serve_machines(const Arguments& arguments, ServerOptions options) {
  if (options.device_count != 1 && options.device_count != arguments.vfio_user.size()) {
    return fail(kStatusUsage, "--vfio-user makes one device for each path; leave the count away");
  }
  options.device_count = static_cast<uint32_t>(arguments.vfio_user.size());
  options.one_machine = arguments.one_machine;
  std::string error;
  if (!bindings_fit(options.bindings, options.device_count, &error)) {
    return fail(kStatusFailed, error);
  }
  raise_descriptor_limit();
  VfioHost host(options, arguments.idle_exit, catch_signals());
  std::vector<Place> places(arguments.vfio_user.size());
  for (size_t i = 0; i < places.size(); ++i) {
    const int status = take_place(arguments.vfio_user[i], &places[i], &error);
    if (status != 0) return fail(status, error);
  }
  if (arguments.sandbox == "basic" && !enter_sandbox(&error)) return fail(kStatusFailed, error);
  for (Place& place : places) {
    if (!host.add(std::move(place.listener), place.path, &error)) return fail(kStatusFailed, error);
  }
  for (const Place& place : places) printf("ready %s\n", place.path.c_str());
  fflush(stdout);
  host.run();
  for (const Place& place : places) unlink(place.path.c_str());
  return 0;
}

int serve(const Arguments& arguments) {
  std::string error;
  ServerOptions options;
  if (!make_options(arguments, &options, &error)) return fail(kStatusFailed, error);
  if (!arguments.vfio_user.empty()) return serve_machines(arguments, options);
  std::string socket = arguments.socket;
  if (socket.empty()) {
    if (!ensure_runtime_directory(runtime_directory(), &error)) return fail(kStatusFailed, error);
    socket = default_socket(arguments.spec);
  }
  raise_descriptor_limit();
  UniqueFd signals = catch_signals();
  Place place;
  int status = take_place(socket, &place, &error);
  if (status != 0) return fail(status, error);
  status = serve_on(std::move(place.listener), std::move(signals), options, arguments, socket);
  unlink(socket.c_str());
  return status;
}

std::string version_line() {
  const auto pair = [](unsigned major, unsigned minor) {
    return std::to_string(major) + "." + std::to_string(minor);
  };
  return "npu-modeld " NPU_MODELD_VERSION ", uapi " + pair(NPU_UAPI_MAJOR, NPU_UAPI_MINOR) +
         ", instruction set " + pair(NPU_ISA_MAJOR, NPU_ISA_MINOR);
}

int run(int argc, char** argv) {
  Arguments arguments;
  arguments.sandbox = sandbox_available() ? "basic" : "off";
  CLI::App app{"Serves NPU device models on a Unix socket."};
  app.set_version_flag("-V,--version", version_line());
  app.add_option("--spec", arguments.spec, "PROFILE or PROFILE*COUNT")->capture_default_str();
  CLI::Option* const socket = app.add_option(
      "--socket", arguments.socket, "Path of the socket; default: <runtime directory>/<spec>.sock");
  CLI::Option* const vfio_user =
      app.add_option(
             "--vfio-user", arguments.vfio_user,
             "Path of a vfio-user socket: a PCI device for a virtual machine instead; may repeat")
          ->excludes(socket);
  app.add_flag("--one-machine", arguments.one_machine,
               "The devices of all --vfio-user sit in one machine: each reaches the memory of the "
               "others over the bus. Never for paths of several machines")
      ->needs(vfio_user);
  app.add_option("--idle-exit", arguments.idle_exit,
                 "End after so many seconds without a client; 0: never")
      ->check(CLI::Range(0, 86400 * 365));
  app.add_option("--threads", arguments.threads, "Threads that run tiles; 0: one a CPU");
  app.add_option("--numerics", arguments.numerics, "scalar or simd; both give the same bits")
      ->check(CLI::IsMember({"scalar", "simd"}));
  app.add_flag("--check", arguments.check,
               "Checking mode: races of kernels on scratchpads and reads of unwritten bytes are "
               "faults");
  app.add_option("--keys", arguments.keys,
                 "Folder of the accepted public keys (*.pub), instead of the default ones");
  app.add_flag("--production", arguments.production,
               "Accept only the first key and no older security counter");
  app.add_option("--profile-dir", arguments.profiles, "Folder of the profiles");
  app.add_option(
         "--inject", arguments.injections,
         "KEY[:PLACE[:COUNT]]: a fault of every device from its start, for tests; may stand "
         "several times")
      ->expected(1)
      ->take_all();
  app.add_option("--sandbox", arguments.sandbox, "off or basic (system calls are limited)")
      ->check(CLI::IsMember({"off", "basic"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : kStatusUsage;
  }
  return serve(arguments);
}

}  // namespace
}  // namespace npu::model::server

int main(int argc, char** argv) {
  try {
    return npu::model::server::run(argc, argv);
  } catch (const std::exception& failure) {
    return npu::model::server::fail(1, failure.what());
  }
}
