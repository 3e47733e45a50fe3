// SPDX-License-Identifier: Apache-2.0
// The OpenCL functions by name, and their use.
#include "tests/bench/opencl.h"

#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace npu::bench {
namespace {

// From the OpenCL 1.2 specification.
constexpr uint64_t kDeviceTypeAll = 0xffffffff;
constexpr uint32_t kPlatformName = 0x0902;
constexpr uint64_t kReadWrite = 1;
constexpr uint32_t kTrue = 1;

struct Functions {
  int32_t (*get_platforms)(uint32_t, void**, uint32_t*);
  int32_t (*get_platform_info)(void*, uint32_t, size_t, void*, size_t*);
  int32_t (*get_devices)(void*, uint64_t, uint32_t, void**, uint32_t*);
  void* (*create_context)(const intptr_t*, uint32_t, void* const*, void*, void*, int32_t*);
  void* (*create_queue)(void*, void*, uint64_t, int32_t*);
  void* (*create_program)(void*, uint32_t, const char**, const size_t*, int32_t*);
  int32_t (*build_program)(void*, uint32_t, void* const*, const char*, void*, void*);
  void* (*create_kernel)(void*, const char*, int32_t*);
  void* (*create_buffer)(void*, uint64_t, size_t, void*, int32_t*);
  int32_t (*enqueue_kernel)(void*, void*, uint32_t, const size_t*, const size_t*, const size_t*,
                            uint32_t, void*, void*);
  int32_t (*enqueue_write)(void*, void*, uint32_t, size_t, size_t, const void*, uint32_t, void*,
                           void*);
  int32_t (*enqueue_read)(void*, void*, uint32_t, size_t, size_t, void*, uint32_t, void*, void*);
  int32_t (*finish)(void*);
  int32_t (*flush)(void*);
  int32_t (*release_event)(void*);
  int32_t (*release_buffer)(void*);
  int32_t (*release_queue)(void*);
  int32_t (*release_context)(void*);
};

template <typename F>
bool load(void* library, const char* name, F* out) {
  *out = reinterpret_cast<F>(dlsym(library, name));
  return *out != nullptr;
}

const Functions* functions() {
  static Functions f;
  static const bool kLoaded = [] {
    void* lib = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    return lib != nullptr && load(lib, "clGetPlatformIDs", &f.get_platforms) &&
           load(lib, "clGetPlatformInfo", &f.get_platform_info) &&
           load(lib, "clGetDeviceIDs", &f.get_devices) &&
           load(lib, "clCreateContext", &f.create_context) &&
           load(lib, "clCreateCommandQueue", &f.create_queue) &&
           load(lib, "clCreateProgramWithSource", &f.create_program) &&
           load(lib, "clBuildProgram", &f.build_program) &&
           load(lib, "clCreateKernel", &f.create_kernel) &&
           load(lib, "clCreateBuffer", &f.create_buffer) &&
           load(lib, "clEnqueueNDRangeKernel", &f.enqueue_kernel) &&
           load(lib, "clEnqueueWriteBuffer", &f.enqueue_write) &&
           load(lib, "clEnqueueReadBuffer", &f.enqueue_read) && load(lib, "clFinish", &f.finish) &&
           load(lib, "clFlush", &f.flush) && load(lib, "clReleaseEvent", &f.release_event) &&
           load(lib, "clReleaseMemObject", &f.release_buffer) &&
           load(lib, "clReleaseCommandQueue", &f.release_queue) &&
           load(lib, "clReleaseContext", &f.release_context);
  }();
  return kLoaded ? &f : nullptr;
}

void expect(int32_t code, const char* what) {
  if (code == 0) return;
  std::fprintf(stderr, "npu_bench: OpenCL: %s failed with %d\n", what, code);
  std::exit(1);
}

}  // namespace

bool OpenCl::open() {
  const Functions* f = functions();
  void* platform = nullptr;
  uint32_t count = 0;
  char name[128] = {};
  if (f == nullptr || f->get_platforms(1, &platform, &count) != 0 || count == 0) return false;
  if (f->get_platform_info(platform, kPlatformName, sizeof name - 1, name, nullptr) != 0)
    return false;
  if (f->get_devices(platform, kDeviceTypeAll, 1, &device_, &count) != 0 || count == 0)
    return false;
  int32_t error = 0;
  context_ = f->create_context(nullptr, 1, &device_, nullptr, nullptr, &error);
  name_ = name;
  return error == 0;
}

bool OpenCl::build() {
  const Functions* f = functions();
  const char* source = "__kernel void nothing(void) {}";
  int32_t error = 0;
  queue_ = f->create_queue(context_, device_, 0, &error);
  if (error != 0) return false;
  second_queue_ = f->create_queue(context_, device_, 0, &error);
  if (error != 0) return false;
  program_ = f->create_program(context_, 1, &source, nullptr, &error);
  if (error != 0 || f->build_program(program_, 0, nullptr, "", nullptr, nullptr) != 0) return false;
  kernel_ = f->create_kernel(program_, "nothing", &error);
  return error == 0;
}

std::unique_ptr<OpenCl> OpenCl::find() {
  std::unique_ptr<OpenCl> cl(new OpenCl);
  if (!cl->open() || !cl->build()) return nullptr;
  return cl;
}

OpenCl::~OpenCl() {
  const Functions* f = functions();
  if (buffer_ != nullptr) f->release_buffer(buffer_);
  if (second_queue_ != nullptr) f->release_queue(second_queue_);
  if (queue_ != nullptr) f->release_queue(queue_);
  if (context_ != nullptr) f->release_context(context_);
}

void OpenCl::enqueue_empty_kernel() {
  const size_t one = 1;
  expect(functions()->enqueue_kernel(queue_, kernel_, 1, nullptr, &one, &one, 0, nullptr, nullptr),
         "a launch");
}

void OpenCl::run_chain(int links) {
  const Functions* f = functions();
  const size_t one = 1;
  void* queues[2] = {queue_, second_queue_};
  void* before = nullptr;
  for (int i = 0; i < links; i++) {
    void* event = nullptr;
    expect(f->enqueue_kernel(queues[i % 2], kernel_, 1, nullptr, &one, &one, before != nullptr,
                             before != nullptr ? &before : nullptr, &event),
           "a launch that waits for an event");
    // What waits for an event of another queue needs that queue to be flushed.
    expect(f->flush(queues[i % 2]), "clFlush");
    if (before != nullptr) f->release_event(before);
    before = event;
  }
  expect(f->finish(queues[(links - 1) % 2]), "clFinish");
  f->release_event(before);
}

void OpenCl::finish() { expect(functions()->finish(queue_), "clFinish"); }

void OpenCl::make_buffer(size_t bytes) {
  if (buffer_ != nullptr) functions()->release_buffer(buffer_);
  int32_t error = 0;
  buffer_ = functions()->create_buffer(context_, kReadWrite, bytes, nullptr, &error);
  expect(error, "clCreateBuffer");
}

void OpenCl::write(const void* host, size_t bytes) {
  expect(functions()->enqueue_write(queue_, buffer_, kTrue, 0, bytes, host, 0, nullptr, nullptr),
         "a write");
}

void OpenCl::read(void* host, size_t bytes) {
  expect(functions()->enqueue_read(queue_, buffer_, kTrue, 0, bytes, host, 0, nullptr, nullptr),
         "a read");
}

double OpenCl::seconds_to_open() {
  const auto begin = std::chrono::steady_clock::now();
  OpenCl cl;
  const bool opened = cl.open();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  return opened ? took.count() : -1;
}

}  // namespace npu::bench
