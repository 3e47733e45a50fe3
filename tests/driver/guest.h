// SPDX-License-Identifier: Apache-2.0
// What the driver's tests share: files of the device under test with their objects, and the handles that root has on the machine.
//
// They run in the guest of ./dev hil, as root. NPU_DEVICE names the node, as for every program: accel:/dev/accel/accel0.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <libdrm/drm.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/uapi/parity/operations.h"
#include "tests/uapi/parity/session.h"

namespace npu::driver_test {

using parity::copy_op;
using parity::fill_op;
using parity::map_op;
using parity::Memory;
using parity::QueueParts;
using parity::unmap_op;

// Where a queue that waits for ever looks: a word that nobody writes.
inline constexpr uint64_t kWordDva = 0x300000;

// An open file. Calls that may fail return the errno.
class File : public parity::Session {
 public:
  File() : Session(road(), nullptr) {}
  // Of another device.
  explicit File(parity::Road* road) : Session(road, nullptr) {}

  int descriptor() { return file().descriptor(); }
  // Throws unless it works.
  std::unique_ptr<Memory> map(const npu_bo_create& object);
  int close_object(uint32_t handle) { return file().close_object(handle); }

  int bind_all(uint32_t vm, const std::vector<npu_bind_op>& ops, uint32_t* failed_index = nullptr);
  int query_vm(uint32_t vm, npu_vm_query* out);
  int vm_faults(uint32_t vm, std::vector<npu_fault>* out);
  int destroy_vm(uint32_t vm);
  int destroy_queue(uint32_t queue);
  int query_queue(uint32_t queue, npu_queue_query* out);
  int bo_state(uint32_t handle, uint32_t* out);
  int device_info(npu_dev_info* out);
  npu_region_info hbm();
  uint64_t epoch();
  int copy(const std::vector<npu_copy_op>& ops, uint32_t flags,
           const std::vector<npu_sync>& waits = {}, const std::vector<npu_sync>& signals = {});

  // A command that waits for a word which stays 0. The queue is busy until somebody ends it.
  void submit_endless(QueueParts* queue);
  void submit_nop(QueueParts* queue);
  static parity::Road* road();
};

// Calls of DRM itself. An ioctl, again when a signal cut it short; 0 or the errno.
int drm(File* file, unsigned long request, void* args);
uint32_t make_syncobj(File* file);
int wait_syncobj(File* file, uint32_t handle);
int wait_point(File* file, uint32_t handle, uint64_t point);
// PRIME: an object's descriptor, and the object of a descriptor.
int to_fd(File* file, uint32_t handle, int* fd, uint32_t flags = DRM_CLOEXEC | DRM_RDWR);
int to_handle(File* file, int fd, uint32_t* handle);

// count: a multiple of 4.
void fill_random(uint8_t* bytes, uint64_t count, uint32_t seed);

// Polls until it holds; false when `seconds` have passed.
bool becomes(const std::function<bool()>& condition, int seconds = 20);
// HBM is given back a moment after its owner has gone.
void expect_free_hbm(File* file, uint64_t bytes);
// A new file, a new queue, one command.
void expect_works();

// The machine's side of the device: sysfs and debugfs.
std::string own_node();  // of the device under test
std::string pci_address();
std::string pci_address_of(const std::string& node);  // "/dev/accel/accel1"; empty: there is none
std::string sysfs(const std::string& name);           // of the PCI device
std::string debugfs(const std::string& name);         // of the device
int write_file(const std::string& path, const std::string& text);  // 0 or the errno
std::string read_file(const std::string& path);
uint64_t debug_number(const std::string& key);  // of debugfs' objects
void inject(const std::string& what);           // rows NPU_INJECT of uapi/spec/ras.def

inline constexpr int64_t kWaitMs = 30'000;
int64_t now_ms();
// A device that was taken out comes back under its old name. What held the one that went may be on its way back still, and with it the name: then out and in again.
bool bring_back(const std::string& node, const std::string& pci_folder);

// Each test begins with a device that works and ends with one that has lost nothing: neither objects nor memory.
class GuestTest : public ::testing::Test {
 protected:
  // When the files of the test are closed: members of the tests' own classes go before.
  ~GuestTest() override;
  void SetUp() override;
  // For tests that make pages go bad: so much less may be free afterwards.
  void may_lose_hbm(uint64_t bytes) { may_lose_ = bytes; }

 private:
  struct Census {
    uint64_t bos = 0, vms = 0, queues = 0, mappings = 0, free_hbm = 0;
  };
  static Census census();
  bool lost_nothing() const;
  Census census_;
  uint64_t may_lose_ = 0;
  bool set_up_ = false;
};

}  // namespace npu::driver_test
