// SPDX-License-Identifier: Apache-2.0
// The vfio-user protocol, version 0.0, as it lies on the socket (docs/vfio-user.md). Host byte order;
// all fields are naturally aligned, so no struct has holes.
#ifndef NPU_MODEL_VFIO_USER_WIRE_H_
#define NPU_MODEL_VFIO_USER_WIRE_H_

#include <cstddef>
#include <cstdint>

namespace npu::model::vfio_user::wire {

enum Command : uint16_t {
  kVersion = 1,
  kDmaMap = 2,
  kDmaUnmap = 3,
  kGetInfo = 4,
  kGetRegionInfo = 5,
  kGetRegionIoFds = 6,
  kGetIrqInfo = 7,
  kSetIrqs = 8,
  kRegionRead = 9,
  kRegionWrite = 10,
  kDmaRead = 11,
  kDmaWrite = 12,
  kReset = 13,
  kRegionWriteMulti = 15,
  kDeviceFeature = 16,
  kMigrationRead = 17,
  kMigrationWrite = 18,
};

// Header.flags
inline constexpr uint32_t kTypeMask = 0xf;
inline constexpr uint32_t kTypeCommand = 0;
inline constexpr uint32_t kTypeReply = 1;
inline constexpr uint32_t kNoReply = 1u << 4;
inline constexpr uint32_t kError = 1u << 5;

struct Header {
  uint16_t id;
  uint16_t command;
  uint32_t size_bytes;  // of the whole message
  uint32_t flags;
  uint32_t error;  // errno, with kError
};

struct Version {
  uint16_t major;
  uint16_t minor;
  // JSON text with its NUL follows
};

inline constexpr uint32_t kMapRead = 1;
inline constexpr uint32_t kMapWrite = 2;
struct DmaMap {
  uint32_t argsz;
  uint32_t flags;
  uint64_t offset;
  uint64_t iova;
  uint64_t bytes;
};

inline constexpr uint32_t kUnmapAll = 2;
struct DmaUnmap {
  uint32_t argsz;
  uint32_t flags;
  uint64_t iova;
  uint64_t bytes;
};

inline constexpr uint32_t kDeviceReset = 1;
inline constexpr uint32_t kDevicePci = 2;
struct DeviceInfo {
  uint32_t argsz;
  uint32_t flags;
  uint32_t num_regions;
  uint32_t num_irqs;
};

enum Region : uint32_t {
  kBar0,
  kBar1,
  kBar2,
  kBar3,
  kBar4,
  kBar5,
  kRom,
  kConfig,
  kVga,
  kNumRegions
};
inline constexpr uint32_t kRegionReadable = 1;
inline constexpr uint32_t kRegionWritable = 2;
inline constexpr uint32_t kRegionMmap = 4;
struct RegionInfo {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t cap_offset;
  uint64_t bytes;
  uint64_t offset;  // inside the descriptor that comes with the reply
};

enum Irq : uint32_t { kIntx, kMsi, kMsix, kErr, kReq, kNumIrqs };
inline constexpr uint32_t kIrqEventfd = 1;
struct IrqInfo {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t count;
};

inline constexpr uint32_t kDataNone = 1;
inline constexpr uint32_t kDataBool = 2;
inline constexpr uint32_t kDataEventfd = 4;
inline constexpr uint32_t kDataMask = 7;
inline constexpr uint32_t kActionTrigger = 32;
inline constexpr uint32_t kActionMask = 8 | 16 | 32;
struct IrqSet {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t start;
  uint32_t count;
};

struct RegionAccess {
  uint64_t offset;
  uint32_t region;
  uint32_t count;
  // data follows
};

struct DmaAccess {
  uint64_t iova;
  uint64_t count;
  // data follows
};

// A uint64_t says how many of these follow.
struct MultiWrite {
  uint64_t offset;
  uint32_t region;
  uint32_t count;
  uint8_t data[8];
};
inline constexpr uint64_t kMaxMultiWrites = 200;

struct Feature {
  uint32_t argsz;
  uint32_t flags;
};

static_assert(sizeof(Header) == 16);
static_assert(sizeof(Version) == 4);
static_assert(sizeof(DmaMap) == 32);
static_assert(sizeof(DmaUnmap) == 24);
static_assert(sizeof(DeviceInfo) == 16);
static_assert(sizeof(RegionInfo) == 32);
static_assert(sizeof(IrqInfo) == 16);
static_assert(sizeof(IrqSet) == 20);
static_assert(sizeof(RegionAccess) == 16);
static_assert(sizeof(DmaAccess) == 16);
static_assert(sizeof(MultiWrite) == 24);
static_assert(sizeof(Feature) == 8);

// What this server announces and holds to. The protocol's own defaults are 1 and 1 MiB.
inline constexpr uint32_t kMaxFds = 16;
inline constexpr uint32_t kDefaultFds = 1;
inline constexpr uint64_t kMaxDataBytes = 1 << 20;
// The largest body: a REGION_WRITE with all its data, or the DMA_READ reply of that size.
inline constexpr uint32_t kMaxBodyBytes = kMaxDataBytes + 64;

}  // namespace npu::model::vfio_user::wire

#endif  // NPU_MODEL_VFIO_USER_WIRE_H_
