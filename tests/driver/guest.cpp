// SPDX-License-Identifier: Apache-2.0
// Files, objects and the machine's side of the device under test.
#include "tests/driver/guest.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

namespace npu::driver_test {
namespace {

constexpr char kPrefix[] = "accel:";

template <typename T>
parity::ArrayArg room(npu_array* member, const void* args, size_t count) {
  return parity::make_array(member, args, std::vector<T>(count), true);
}

}  // namespace

parity::Road* File::road() {
  static const std::unique_ptr<parity::Road> road = parity::ioctl_road(own_node());
  return road.get();
}

std::unique_ptr<Memory> File::map(const npu_bo_create& object) {
  return file().map(object.map_token, object.size_bytes);
}

int File::bind_all(uint32_t vm, const std::vector<npu_bind_op>& ops, uint32_t* failed_index) {
  npu_vm_bind args{};
  args.vm_id = vm;
  const auto array = parity::make_array(&args.ops, &args, ops);
  const int err = silent(NPU_CALL_VM_BIND, &args, {array});
  if (failed_index != nullptr) *failed_index = args.failed_index;
  return err;
}

int File::query_vm(uint32_t vm, npu_vm_query* out) {
  *out = {};
  out->vm_id = vm;
  return silent(NPU_CALL_VM_QUERY, out);
}

int File::vm_faults(uint32_t vm, std::vector<npu_fault>* out) {
  npu_vm_query args{};
  args.vm_id = vm;
  const auto array = room<npu_fault>(&args.faults, &args, NPU_MAX_FAULTS);
  const int err = silent(NPU_CALL_VM_QUERY, &args, {array});
  out->resize(err == 0 ? args.faults.count : 0);
  std::memcpy(out->data(), array.memory->data(), out->size() * sizeof(npu_fault));
  return err;
}

int File::destroy_vm(uint32_t vm) {
  npu_vm_destroy args{};
  args.vm_id = vm;
  return silent(NPU_CALL_VM_DESTROY, &args);
}

int File::destroy_queue(uint32_t queue) {
  npu_queue_destroy args{};
  args.queue_id = queue;
  return silent(NPU_CALL_QUEUE_DESTROY, &args);
}

int File::query_queue(uint32_t queue, npu_queue_query* out) {
  *out = {};
  out->queue_id = queue;
  return silent(NPU_CALL_QUEUE_QUERY, out);
}

int File::bo_state(uint32_t handle, uint32_t* out) {
  npu_bo_info args{};
  args.handle = handle;
  const int err = silent(NPU_CALL_BO_INFO, &args);
  *out = args.state;
  return err;
}

int File::device_info(npu_dev_info* out) {
  npu_dev_query args{};
  args.type = NPU_QUERY_DEVICE;
  const auto array = room<npu_dev_info>(&args.out, &args, 1);
  const int err = silent(NPU_CALL_DEV_QUERY, &args, {array});
  std::memcpy(out, array.memory->data(), sizeof *out);
  return err;
}

npu_region_info File::hbm() {
  npu_dev_query args{};
  args.type = NPU_QUERY_REGIONS;
  const auto array = room<npu_region_info>(&args.out, &args, 2);
  must(NPU_CALL_DEV_QUERY, &args, {array});
  npu_region_info regions[2];
  std::memcpy(regions, array.memory->data(), sizeof regions);
  return regions[1];
}

uint64_t File::epoch() {
  npu_dev_info info{};
  EXPECT_EQ(device_info(&info), 0);
  return info.epoch;
}

int File::copy(const std::vector<npu_copy_op>& ops, uint32_t flags,
               const std::vector<npu_sync>& waits, const std::vector<npu_sync>& signals) {
  npu_copy_submit args{};
  args.flags = flags;
  const std::vector<parity::ArrayArg> arrays = {parity::make_array(&args.ops, &args, ops),
                                                parity::make_array(&args.waits, &args, waits),
                                                parity::make_array(&args.signals, &args, signals)};
  return silent(NPU_CALL_COPY_SUBMIT, &args, arrays);
}

void File::submit_endless(QueueParts* queue) {
  const npu_bo_create word = object(NPU_PAGE_4K, NPU_REGION_SYSTEM);
  ASSERT_EQ(bind(queue->args.vm_id, word.handle, kWordDva, word.size_bytes), 0);
  npu_cmd_sem command{};
  command.op = NPU_CMD_SEM_WAIT;
  command.sem_dva = kWordDva;
  command.value = 1;
  submit(queue, &command);
}

void File::submit_nop(QueueParts* queue) {
  npu_cmd command{};
  submit(queue, &command);
}

int drm(File* file, unsigned long request, void* args) {
  int result = 0;
  do {
    result = ioctl(file->descriptor(), request, args);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

uint32_t make_syncobj(File* file) {
  drm_syncobj_create args{};
  EXPECT_EQ(drm(file, DRM_IOCTL_SYNCOBJ_CREATE, &args), 0);
  return args.handle;
}

int wait_syncobj(File* file, uint32_t handle) {
  drm_syncobj_wait args{};
  args.handles = reinterpret_cast<uintptr_t>(&handle);
  args.count_handles = 1;
  args.timeout_nsec = parity::in_ms(kWaitMs);
  args.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
  return drm(file, DRM_IOCTL_SYNCOBJ_WAIT, &args);
}

int wait_point(File* file, uint32_t handle, uint64_t point) {
  drm_syncobj_timeline_wait args{};
  args.handles = reinterpret_cast<uintptr_t>(&handle);
  args.points = reinterpret_cast<uintptr_t>(&point);
  args.count_handles = 1;
  args.timeout_nsec = parity::in_ms(kWaitMs);
  args.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
  return drm(file, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &args);
}

int to_fd(File* file, uint32_t handle, int* fd, uint32_t flags) {
  drm_prime_handle args{};
  args.handle = handle;
  args.flags = flags;
  args.fd = -1;
  const int err = drm(file, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);
  *fd = args.fd;
  return err;
}

int to_handle(File* file, int fd, uint32_t* handle) {
  drm_prime_handle args{};
  args.fd = fd;
  const int err = drm(file, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);
  *handle = args.handle;
  return err;
}

void fill_random(uint8_t* bytes, uint64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  for (uint64_t i = 0; i + 4 <= count; i += 4) {
    const uint32_t word = random();
    std::memcpy(bytes + i, &word, sizeof word);
  }
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool becomes(const std::function<bool()>& condition, int seconds) {
  const int64_t end = now_ms() + seconds * 1000ll;
  while (!condition()) {
    if (now_ms() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

bool bring_back(const std::string& node, const std::string& pci_folder) {
  return becomes([&] {
    write_file("/sys/bus/pci/rescan", "1");
    if (access(node.c_str(), R_OK) == 0) return true;
    write_file(pci_folder + "remove", "1");
    return false;
  });
}

void expect_free_hbm(File* file, uint64_t bytes) {
  becomes([&] { return file->hbm().free_bytes == bytes; });
  EXPECT_EQ(file->hbm().free_bytes, bytes);
}

void expect_works() {
  File file;
  QueueParts queue = file.queue(file.vm());
  file.submit_nop(&queue);
  EXPECT_EQ(file.wait_completed(queue, 1), 0);
}

std::string own_node() {
  const char* device = std::getenv("NPU_DEVICE");
  const std::string text = device == nullptr ? "" : device;
  if (text.rfind(kPrefix, 0) != 0 || text.size() == sizeof kPrefix - 1) return "/dev/accel/accel0";
  return text.substr(sizeof kPrefix - 1);
}

std::string pci_address() { return pci_address_of(own_node()); }

std::string pci_address_of(const std::string& node) {
  const auto device =
      std::filesystem::path("/sys/class/accel") / std::filesystem::path(node).filename() / "device";
  std::error_code none;
  const auto target = std::filesystem::canonical(device, none);
  return none ? "" : target.filename().string();
}

std::string sysfs(const std::string& name) {
  return "/sys/bus/pci/devices/" + pci_address() + "/" + name;
}

std::string debugfs(const std::string& name) {
  return "/sys/kernel/debug/accel/" + pci_address() + "/" + name;
}

int write_file(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t written = write(fd, text.data(), text.size());
  const int err = written < 0 ? errno : 0;
  close(fd);
  return err;
}

std::string read_file(const std::string& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

uint64_t debug_number(const std::string& key) {
  std::istringstream lines(read_file(debugfs("objects")));
  std::string name;
  uint64_t value = 0;
  while (lines >> name >> value) {
    if (name == key) return value;
  }
  ADD_FAILURE() << "debugfs' objects has no " << key;
  return 0;
}

void inject(const std::string& what) { ASSERT_EQ(write_file(debugfs("inject"), what), 0) << what; }

GuestTest::Census GuestTest::census() {
  File file;  // awake, and its DEV_QUERY waits for memory on its way back
  const uint64_t free_hbm = file.hbm().free_bytes;
  return {debug_number("bos"), debug_number("vms"), debug_number("queues"),
          debug_number("mappings"), free_hbm};
}

bool GuestTest::lost_nothing() const {
  const Census now = census();
  return now.bos == census_.bos && now.vms == census_.vms && now.queues == census_.queues &&
         now.mappings == census_.mappings && now.free_hbm + may_lose_ >= census_.free_hbm;
}

void GuestTest::SetUp() {
  if (geteuid() != 0 || pci_address().empty()) {
    GTEST_SKIP() << "runs as root on a machine with " << own_node();
  }
  expect_works();
  // The works of earlier tests may still be giving back what those had.
  becomes([] { return debug_number("bos") == 0 && debug_number("queues") == 0; });
  census_ = census();
  set_up_ = true;
}

GuestTest::~GuestTest() {
  if (!set_up_) return;
  EXPECT_TRUE(becomes([&] { return lost_nothing(); })) << "left behind:\n"
                                                       << read_file(debugfs("objects"));
  expect_works();
}

}  // namespace npu::driver_test
