// SPDX-License-Identifier: Apache-2.0
// Configuration space: the capabilities are those of docs/vfio-user.md, BARs can be sized, and only
// what is writable changes.
#include <linux/pci_regs.h>

#include <algorithm>
#include <fstream>
#include <regex>

#include "tests/unit/vfio_user/fixture.h"
#include "uapi/npu_regs.h"

namespace npu::test {
namespace {

constexpr uint32_t kExpress = 0x60;
constexpr uint32_t kErrors = 0x100;

struct Capability {
  uint32_t at;
  uint32_t id;
  auto operator<=>(const Capability&) const = default;
};

void PrintTo(const Capability& capability, std::ostream* out) {
  *out << std::hex << "0x" << capability.id << " at 0x" << capability.at;
}

std::vector<Capability> documented() {
  std::ifstream file(NPU_TEST_VFIO_USER_PAGE);
  std::vector<Capability> found;
  const std::regex row(R"(\| 0x([0-9a-f]+) \| [^|]+ \| 0x([0-9a-f]+) \|.*)");
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    found.push_back({static_cast<uint32_t>(std::stoul(match[1], nullptr, 16)),
                     static_cast<uint32_t>(std::stoul(match[2], nullptr, 16))});
  }
  return found;
}

std::vector<Capability> walked(const Bytes& config) {
  std::vector<Capability> found;
  auto at = load_at<uint8_t>(config, PCI_CAPABILITY_LIST);
  while (at != 0 && found.size() < 64) {
    found.push_back({at, load_at<uint8_t>(config, at)});
    at = load_at<uint8_t>(config, at + PCI_CAP_LIST_NEXT);
  }
  for (uint32_t extended = PCI_CFG_SPACE_SIZE; extended != 0 && found.size() < 64;) {
    const auto header = load_at<uint32_t>(config, extended);
    if (header == 0) break;
    found.push_back({extended, PCI_EXT_CAP_ID(header)});
    extended = PCI_EXT_CAP_NEXT(header);
  }
  return found;
}

using Config = VfioTest;

TEST_F(Config, HasTheCapabilitiesOfItsPage) {
  const ReplayClient client = realized();
  const std::vector<Capability> expected = documented();
  EXPECT_EQ(expected.size(), 4u);
  EXPECT_EQ(walked(client.config), expected);
}

TEST_F(Config, NamesTheDevice) {
  const ReplayClient client = realized();
  const Bytes& config = client.config;
  EXPECT_EQ(load_at<uint16_t>(config, PCI_VENDOR_ID), NPU_PCI_VENDOR);
  EXPECT_EQ(load_at<uint16_t>(config, PCI_DEVICE_ID), NPU_PCI_DEVICE);
  EXPECT_EQ(load_at<uint32_t>(config, PCI_CLASS_REVISION) >> 8, uint32_t{NPU_PCI_CLASS});
  EXPECT_EQ(load_at<uint8_t>(config, PCI_HEADER_TYPE), PCI_HEADER_TYPE_NORMAL);
  EXPECT_EQ(load_at<uint8_t>(config, PCI_INTERRUPT_PIN), 0);
  EXPECT_NE(load_at<uint16_t>(config, PCI_STATUS) & PCI_STATUS_CAP_LIST, 0);
  EXPECT_NE(load_at<uint32_t>(config, kExpress + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR, 0u);
  EXPECT_EQ(load_at<uint16_t>(config, kExpress + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_VERS, 2);
  EXPECT_EQ((load_at<uint16_t>(config, 0xb0 + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1, 16);
  EXPECT_EQ(load_at<uint32_t>(config, 0xb0 + PCI_MSIX_TABLE) & PCI_MSIX_TABLE_BIR,
            uint32_t{NPU_BAR_MSIX});
}

TEST_F(Config, TellsTheSizesOfItsBars) {
  ReplayClient client = realized();
  for (const uint32_t bar : {0u, 2u, 4u}) {
    SCOPED_TRACE(bar);
    const uint32_t at = PCI_BASE_ADDRESS_0 + bar * 4;
    const uint32_t type = client.read32(wire::kConfig, at);
    EXPECT_EQ(type & PCI_BASE_ADDRESS_MEM_TYPE_MASK, uint32_t{PCI_BASE_ADDRESS_MEM_TYPE_64});
    EXPECT_EQ((type & PCI_BASE_ADDRESS_MEM_PREFETCH) != 0, bar == 2);
    client.write32(wire::kConfig, at, ~0u);
    client.write32(wire::kConfig, at + 4, ~0u);
    const uint64_t low = client.read32(wire::kConfig, at) & ~0xfu;
    const uint64_t mask = uint64_t{client.read32(wire::kConfig, at + 4)} << 32 | low;
    EXPECT_EQ(~mask + 1, client.region_bytes[bar]);
  }
  EXPECT_EQ(client.read32(wire::kConfig, PCI_ROM_ADDRESS), 0u);
}

TEST_F(Config, ChangesOnlyWhatIsWritable) {
  ReplayClient client = realized();
  // Everything but the reset bit, which would put all of it back.
  Bytes ones(4096, std::byte{0xff});
  ones[kExpress + PCI_EXP_DEVCTL + 1] = std::byte{0x7f};
  ASSERT_EQ(client.write(wire::kConfig, 0, ones), 0);
  Bytes after = client.read(wire::kConfig, 0, 4096);
  EXPECT_EQ(load_at<uint32_t>(after), load_at<uint32_t>(client.config));
  EXPECT_EQ(walked(after), walked(client.config));
  EXPECT_EQ(load_at<uint16_t>(after, PCI_COMMAND) & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
  EXPECT_EQ(load_at<uint32_t>(after, kExpress + PCI_EXP_LNKCAP),
            load_at<uint32_t>(client.config, kExpress + PCI_EXP_LNKCAP));
  // Status bits of errors that never happened stay clear.
  EXPECT_EQ(load_at<uint32_t>(after, kErrors + PCI_ERR_UNCOR_STATUS), 0u);
  EXPECT_NE(load_at<uint32_t>(after, kErrors + PCI_ERR_UNCOR_MASK), 0u);
  ASSERT_EQ(client.reset(), 0);
  EXPECT_EQ(client.read(wire::kConfig, 0, 4096), client.config);
}

TEST_F(Config, ResetsTheFunctionByItsBit) {
  ReplayClient client = realized();
  const uint32_t epoch = client.read32(wire::kBar0, NPU_REG_EPOCH);
  client.write32(wire::kConfig, PCI_BASE_ADDRESS_0, 0xfe00'0000);
  const uint32_t control = client.read32(wire::kConfig, kExpress + PCI_EXP_DEVCTL);
  client.write32(wire::kConfig, kExpress + PCI_EXP_DEVCTL, control | PCI_EXP_DEVCTL_BCR_FLR);
  EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_EPOCH), epoch + 1);
  EXPECT_EQ(client.read(wire::kConfig, 0, 4096), client.config);
}

}  // namespace
}  // namespace npu::test
