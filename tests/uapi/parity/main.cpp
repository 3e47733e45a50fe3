// SPDX-License-Identifier: Apache-2.0
// npu_uapi_conformance: one corpus of calls on one road, compared with the golden log.
//
//   --inproc LIBRARY | --daemon PROGRAM | --node /dev/accel/accel0    the road; the model's spec is tiny
//   --check GOLDEN --exclusions FILE | --write GOLDEN                 compare (0: equal but for the exclusions), or write anew
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>

#include "tests/uapi/parity/session.h"

namespace npu::parity {
namespace {

constexpr const char* kSpec = "tiny";

using Options = std::map<std::string, std::string>;

bool read_options(int argc, char** argv, Options* out) {
  for (int i = 1; i + 1 < argc; i += 2) {
    bool known = false;
    for (const char* name :
         {"--inproc", "--daemon", "--node", "--check", "--exclusions", "--write"}) {
      known = known || std::strcmp(argv[i], name) == 0;
    }
    if (!known) return false;
    (*out)[argv[i]] = argv[i + 1];
  }
  const size_t roads = out->count("--inproc") + out->count("--daemon") + out->count("--node");
  const bool compares = out->count("--check") != 0 && out->count("--exclusions") != 0;
  return argc % 2 == 1 && roads == 1 && (compares || out->count("--write") != 0);
}

std::unique_ptr<Road> make_road(const Options& options, std::string* name) {
  *name = "inproc";
  if (const auto at = options.find("--inproc"); at != options.end())
    return in_process_road(at->second, kSpec);
  *name = "daemon";
  if (const auto at = options.find("--daemon"); at != options.end())
    return daemon_road(at->second, kSpec);
  *name = "kmd";
  return ioctl_road(options.at("--node"));
}

int run(const Options& options) {
  std::string name;
  const std::unique_ptr<Road> road = make_road(options, &name);
  Log log;
  run_queries(road.get(), &log);
  run_fields(road.get(), &log);
  run_shapes(road.get(), &log);
  run_objects(road.get(), &log);
  run_queues(road.get(), &log);
  run_waits(road.get(), &log);
  run_copies(road.get(), &log);
  if (const auto at = options.find("--write"); at != options.end()) {
    if (!log.write(at->second)) {
      std::fprintf(stderr, "%s cannot be written\n", at->second.c_str());
      return 1;
    }
    std::printf("%zu cases written to %s\n", log.size(), at->second.c_str());
    return 0;
  }
  const int wrong = log.compare(options.at("--check"), options.at("--exclusions"), name);
  std::printf("%zu cases on the road %s, %d differ from the golden log\n", log.size(), name.c_str(),
              wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace npu::parity

int main(int argc, char** argv) {
  npu::parity::Options options;
  if (!npu::parity::read_options(argc, argv, &options)) {
    std::fprintf(
        stderr,
        "usage: npu_uapi_conformance (--inproc LIBRARY | --daemon PROGRAM | --node NODE)\n"
        "                            (--check GOLDEN --exclusions FILE | --write GOLDEN)\n");
    return 2;
  }
  try {
    return npu::parity::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "npu_uapi_conformance: %s\n", error.what());
    return 1;
  }
}
