// SPDX-License-Identifier: Apache-2.0
// OpenCl: the peer for launches and copies, found at run time. The few declarations needed are our own, so that no header is required.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace npu::bench {

class OpenCl {
 public:
  // The first platform's first device with an empty kernel built; nullptr: there is none.
  static std::unique_ptr<OpenCl> find();
  ~OpenCl();
  OpenCl(const OpenCl&) = delete;
  OpenCl& operator=(const OpenCl&) = delete;

  const std::string& name() const { return name_; }
  void enqueue_empty_kernel();
  void finish();
  // |links| empty kernels on two queues in turn, each waiting for the event of the one before; until the last one has ended.
  void run_chain(int links);
  // Blocking copies of a buffer of |bytes|.
  void make_buffer(size_t bytes);
  void write(const void* host, size_t bytes);
  void read(void* host, size_t bytes);

  // Seconds of the process's first clGetPlatformIDs, clGetDeviceIDs and clCreateContext; negative: no platform.
  static double seconds_to_open();

 private:
  OpenCl() = default;
  bool open();
  bool build();

  std::string name_;
  void* device_ = nullptr;
  void* context_ = nullptr;
  void* queue_ = nullptr;
  void* second_queue_ = nullptr;
  void* program_ = nullptr;
  void* kernel_ = nullptr;
  void* buffer_ = nullptr;
};

}  // namespace npu::bench
