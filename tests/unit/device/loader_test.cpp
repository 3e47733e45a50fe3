// SPDX-License-Identifier: Apache-2.0
// Blobs that must not load: unsigned, altered anywhere, truncated anywhere, by the wrong key, too
// old, too large, or with one bad instruction.
#include "firmware-model/device/loader.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

using Blob = std::vector<uint8_t>;
using model::BlobPlace;
using model::BlobPolicy;
using model::FirmwareInfo;
using model::Module;

BlobPolicy policy() {
  BlobPolicy result;
  result.keys = {test_key().public_key};
  const npu_profile profile = small_profile();
  result.l1_bytes = profile.l1_bytes;
  result.l2_bytes = profile.l2_bytes;
  result.acc_bytes = profile.acc_bytes;
  result.tiles_per_cluster = profile.tiles_per_cluster;
  return result;
}

class LoaderTest : public testing::Test {
 protected:
  LoaderTest() { EXPECT_TRUE(model::init_crypto()); }

  npu_status load(const Blob& blob, const BlobPolicy& rules = policy()) {
    place_ = {};
    module_ = nullptr;
    // An exact-size copy: a sanitizer sees the first byte read behind the end.
    const std::vector<std::byte> exact(
        reinterpret_cast<const std::byte*>(blob.data()),
        reinterpret_cast<const std::byte*>(blob.data()) + blob.size());
    const npu_status status = model::load_blob(exact, rules, &module_, &place_);
    EXPECT_EQ(status == NPU_ST_OK, module_ != nullptr);
    return status;
  }

  npu_status load_image(const Blob& blob) {
    firmware_ = {};
    const std::vector<std::byte> exact(
        reinterpret_cast<const std::byte*>(blob.data()),
        reinterpret_cast<const std::byte*>(blob.data()) + blob.size());
    return model::load_firmware(exact, policy(), &firmware_);
  }

  BlobPlace place_;
  std::shared_ptr<const Module> module_;
  FirmwareInfo firmware_;
};

Blob small_blob() {
  const isa::Program programs[] = {null_kernel()};
  return signed_blob(programs);
}

// Signs an ELF that a good tool would not write: changes its bytes first, and fills in all hashes.
Blob resign(Blob blob, const std::function<void(uint8_t* elf, npu_manifest& manifest)>& change) {
  npu_manifest_trailer trailer;
  std::memcpy(&trailer, blob.data() + blob.size() - sizeof(trailer), sizeof(trailer));
  const size_t at = blob.size() - trailer.manifest_bytes;
  npu_manifest manifest;
  std::memcpy(&manifest, blob.data() + at, sizeof(manifest));
  change(blob.data(), manifest);
  crypto_hash_sha256(manifest.elf_sha256, blob.data(), at);
  std::memcpy(blob.data() + at, &manifest, sizeof(manifest));
  for (size_t i = 0; i < manifest.nseg; ++i) {
    uint8_t* row = blob.data() + at + sizeof(manifest) + i * sizeof(npu_manifest_seg);
    npu_manifest_seg segment;
    std::memcpy(&segment, row, sizeof(segment));
    crypto_hash_sha256(segment.sha256, blob.data() + segment.offset, segment.size_bytes);
    std::memcpy(row, &segment, sizeof(segment));
  }
  const size_t signed_bytes = sizeof(manifest) + manifest.nseg * sizeof(npu_manifest_seg);
  std::string message = NPU_FW_SIGN_PREFIX;
  message.append(reinterpret_cast<const char*>(blob.data() + at), signed_bytes);
  uint8_t public_key[32];
  uint8_t secret_key[64];
  crypto_sign_seed_keypair(public_key, secret_key, test_key().seed.data());
  crypto_sign_detached(blob.data() + at + signed_bytes, nullptr,
                       reinterpret_cast<const uint8_t*>(message.data()), message.size(),
                       secret_key);
  return blob;
}

// Offset of the program in the ELF: the first manifest row that is a whole number of instructions
// and begins with HALT's bytes.
uint64_t code_offset(const Blob& blob) {
  npu_manifest_trailer trailer;
  std::memcpy(&trailer, blob.data() + blob.size() - sizeof(trailer), sizeof(trailer));
  const size_t at = blob.size() - trailer.manifest_bytes + sizeof(npu_manifest);
  for (size_t i = 0; i < 2; ++i) {
    npu_manifest_seg row;
    std::memcpy(&row, blob.data() + at + i * sizeof(row), sizeof(row));
    uint32_t owner = 0;
    std::memcpy(&owner, blob.data() + row.offset + 12, sizeof(owner));
    if (owner != 0x0055504e) return row.offset;  // "NPU\0": that is the note segment
  }
  return 0;
}

TEST_F(LoaderTest, AGoodBlobLoads) {
  ASSERT_EQ(load(standard_blob()), NPU_ST_OK);
  ASSERT_EQ(module_->kernels.size(), 7u);
  EXPECT_EQ(module_->kernels[kWork]->program.name, "work");
  EXPECT_EQ(module_->kernels[kWork]->program.args_bytes, 8u);
  EXPECT_EQ(module_->kernels[kWork]->program.code.size(), 8u);
}

TEST_F(LoaderTest, EveryFlippedBitIsNoticed) {
  Blob blob = small_blob();
  for (size_t byte = 0; byte < blob.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      blob[byte] ^= static_cast<uint8_t>(1 << bit);
      ASSERT_NE(load(blob), NPU_ST_OK) << "byte " << byte << " bit " << bit;
      blob[byte] ^= static_cast<uint8_t>(1 << bit);
    }
  }
  EXPECT_EQ(load(blob), NPU_ST_OK);
}

TEST_F(LoaderTest, EveryTruncationIsNoticed) {
  const Blob blob = small_blob();
  for (size_t bytes = 0; bytes < blob.size(); ++bytes) {
    ASSERT_NE(load(Blob(blob.begin(), blob.begin() + static_cast<ptrdiff_t>(bytes))), NPU_ST_OK)
        << bytes;
    ASSERT_NE(load(Blob(blob.end() - static_cast<ptrdiff_t>(bytes), blob.end())), NPU_ST_OK)
        << bytes;
  }
  Blob longer = blob;
  longer.insert(longer.begin(), 0);
  EXPECT_NE(load(longer), NPU_ST_OK);
  longer = blob;
  longer.push_back(0);
  EXPECT_NE(load(longer), NPU_ST_OK);
}

TEST_F(LoaderTest, AnUnsignedElfIsCalledUnsigned) {
  const isa::Program programs[] = {null_kernel()};
  EXPECT_EQ(load(*isa::write_elf(programs)), NPU_ST_BLOB_UNSIGNED);
  Blob blob = small_blob();
  std::memset(blob.data() + blob.size() - 8, 0, 4);  // manifest_bytes 0
  EXPECT_EQ(load(blob), NPU_ST_BLOB_UNSIGNED);
}

TEST_F(LoaderTest, AForeignKeyIsRefused) {
  const isa::KeyPair stranger = isa::key_pair_from_seed({1, 2, 3});
  const isa::Program programs[] = {null_kernel()};
  const Blob blob = signed_blob(programs, stranger);
  EXPECT_EQ(load(blob), NPU_ST_BLOB_KEY);
  BlobPolicy both = policy();
  both.keys.push_back(stranger.public_key);
  EXPECT_EQ(load(blob, both), NPU_ST_OK);
  both.production = true;
  EXPECT_EQ(load(blob, both), NPU_ST_BLOB_KEY);
  BlobPolicy none = policy();
  none.keys.clear();
  EXPECT_EQ(load(small_blob(), none), NPU_ST_BLOB_KEY);
}

TEST_F(LoaderTest, ASignatureOfAnotherKeyUnderMyNameIsRefused) {
  // The key id says "test key", the signature is a stranger's.
  Blob mine = small_blob();
  const isa::Program programs[] = {null_kernel()};
  const Blob theirs = signed_blob(programs, isa::key_pair_from_seed({9}));
  ASSERT_EQ(mine.size(), theirs.size());
  const size_t signature = mine.size() - sizeof(npu_manifest_trailer) - NPU_SIGNATURE_BYTES;
  std::memcpy(mine.data() + signature, theirs.data() + signature, NPU_SIGNATURE_BYTES);
  EXPECT_EQ(load(mine), NPU_ST_BLOB_SIGNATURE);
}

TEST_F(LoaderTest, AProductionDeviceRefusesALowerCounter) {
  isa::SignOptions options;
  options.security_counter = 4;
  const isa::Program programs[] = {null_kernel()};
  const Blob blob = signed_blob(programs, test_key(), options);
  BlobPolicy rules = policy();
  rules.production = true;
  rules.min_counter = 4;
  EXPECT_EQ(load(blob, rules), NPU_ST_OK);
  rules.min_counter = 5;
  EXPECT_EQ(load(blob, rules), NPU_ST_BLOB_ROLLBACK);
  rules.production = false;
  EXPECT_EQ(load(blob, rules), NPU_ST_OK);
}

TEST_F(LoaderTest, ControlFirmwareIsNoModule) {
  EXPECT_EQ(load(firmware_image()), NPU_ST_BLOB_FORMAT);
  const auto as_type = [](const Blob& blob, uint8_t type) {
    return resign(blob, [&](uint8_t*, npu_manifest& manifest) { manifest.image_type = type; });
  };
  // Neither does a manifest make a module of it, or firmware of a module.
  EXPECT_EQ(load(as_type(firmware_image(), NPU_IMAGE_KERNELS)), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(load(as_type(small_blob(), NPU_IMAGE_FIRMWARE)), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(load_image(as_type(small_blob(), NPU_IMAGE_FIRMWARE)), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(load_image(as_type(firmware_image(), NPU_IMAGE_KERNELS)), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(load_image(small_blob()), NPU_ST_BLOB_FORMAT);
}

TEST_F(LoaderTest, AFirmwareImageSaysWhatItIs) {
  EXPECT_EQ(load_image(firmware_image(3, 7)), NPU_ST_OK);
  EXPECT_EQ(firmware_.abi_major, 3);
  EXPECT_EQ(firmware_.abi_minor, 7);
  EXPECT_NE(firmware_.build_id, FirmwareInfo().build_id);
}

TEST_F(LoaderTest, EachFieldOfTheFirmwareNoteIsChecked) {
  const Blob good = firmware_image();
  static constexpr char kVersion[] = "1.2.3-test";
  const auto version = std::search(good.begin(), good.end(), kVersion, kVersion + 10);
  ASSERT_NE(version, good.end());
  const size_t at = static_cast<size_t>(version - good.begin());
  const auto bad_byte = [&](size_t offset, uint8_t value) {
    return load_image(resign(good, [&](uint8_t* elf, npu_manifest&) { elf[offset] = value; }));
  };
  EXPECT_EQ(bad_byte(at + 5, 'x'), NPU_ST_OK);
  EXPECT_EQ(bad_byte(at, 0), NPU_ST_BLOB_FORMAT);        // no version
  EXPECT_EQ(bad_byte(at + 2, ' '), NPU_ST_BLOB_FORMAT);  // not visible
  EXPECT_EQ(bad_byte(at + 2, 0x80), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(bad_byte(at + 31, 1), NPU_ST_BLOB_FORMAT);                         // behind its end
  EXPECT_EQ(bad_byte(at - 1, 1), NPU_ST_BLOB_FORMAT);                          // reserved
  EXPECT_EQ(bad_byte(at - 8 - 8, NPU_NOTE_FIRMWARE + 1), NPU_ST_BLOB_FORMAT);  // no such type
  EXPECT_EQ(bad_byte(at - 8 - 8, NPU_NOTE_BUILD_ID), NPU_ST_BLOB_FORMAT);      // its type
}

TEST_F(LoaderTest, EachFieldOfTheTableOfFormatsIsChecked) {
  const isa::Program printing[] = {print_kernel()};
  const Blob good = signed_blob(printing);
  EXPECT_EQ(load(good), NPU_ST_OK);
  static constexpr char kText[] = "%d, %u";
  const auto text = std::search(good.begin(), good.end(), kText, kText + sizeof kText - 1);
  ASSERT_NE(text, good.end());
  const size_t at = static_cast<size_t>(text - good.begin());
  const auto bad_byte = [&](size_t offset, uint8_t value) {
    return load(resign(good, [&](uint8_t* elf, npu_manifest&) { elf[offset] = value; }));
  };
  EXPECT_EQ(bad_byte(at + 1, 'x'), NPU_ST_OK);
  EXPECT_EQ(bad_byte(at + 1, 's'), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(bad_byte(at + 1, 'n'), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(bad_byte(at + 1, '*'), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(bad_byte(at + 2, 0x1b), NPU_ST_BLOB_FORMAT);    // an escape to a terminal
  EXPECT_EQ(bad_byte(at + 4, 'x'), NPU_ST_BLOB_FORMAT);     // one argument less than the row says
  EXPECT_EQ(bad_byte(at - 16 + 4, 1), NPU_ST_BLOB_FORMAT);  // the row, likewise
  EXPECT_EQ(bad_byte(at - 16 + 5, 1), NPU_ST_BLOB_FORMAT);  // reserved
  EXPECT_EQ(bad_byte(at - 16 + 1, 1), NPU_ST_BLOB_FORMAT);  // a text behind the strings
  EXPECT_EQ(bad_byte(at - 24, 1), NPU_ST_BLOB_FORMAT);      // rows
  EXPECT_EQ(bad_byte(at - 20, 1), NPU_ST_BLOB_FORMAT);      // bytes of strings
  EXPECT_EQ(bad_byte(at - 32, NPU_NOTE_FORMATS + 1), NPU_ST_BLOB_FORMAT);
  // e_flags: minor 0 has no formats, and a minor that is to come is refused.
  constexpr size_t kMinorAt = 48 + 2;
  EXPECT_EQ(bad_byte(kMinorAt, 0), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(bad_byte(kMinorAt, NPU_ISA_MINOR + 1), NPU_ST_BLOB_ISA);
}

TEST_F(LoaderTest, APrintMustFitItsFormat) {
  const auto status = [&](const std::function<void(isa::Program&)>& change) {
    isa::Program printing = print_kernel();
    const isa::Program good[] = {printing};
    Blob blob = signed_blob(good);
    change(printing);
    return load(resign(blob, [&](uint8_t* elf, npu_manifest&) {
      std::memcpy(elf + 192, printing.insns.data(), printing.insns.size() * NPU_INSN_BYTES);
    }));
  };
  EXPECT_EQ(status([](isa::Program&) {}), NPU_ST_OK);
  EXPECT_EQ(status([](isa::Program& p) { p.insns[4].imm = 0; }), NPU_ST_BLOB_INSTRUCTION);
  EXPECT_EQ(status([](isa::Program& p) { p.insns[4].imm = 3; }), NPU_ST_BLOB_INSTRUCTION);
  EXPECT_EQ(status([](isa::Program& p) { p.insns[4].imm = 2; }), NPU_ST_BLOB_INSTRUCTION);
  EXPECT_EQ(status([](isa::Program& p) { p.insns[4].r[2] = 1; }), NPU_ST_BLOB_INSTRUCTION);
  EXPECT_EQ(status([](isa::Program& p) { p.insns[7].r[3] = 1; }), NPU_ST_BLOB_INSTRUCTION);
  EXPECT_EQ(status([](isa::Program& p) { p.insns[7].r[0] = 32; }), NPU_ST_BLOB_INSTRUCTION);
}

TEST_F(LoaderTest, NeedsAboveTheDeviceAreTooLarge) {
  for (const auto field : {&npu_note_kernel::l1_bytes, &npu_note_kernel::l2_bytes,
                           &npu_note_kernel::acc_bytes, &npu_note_kernel::group_tiles}) {
    isa::Program big = null_kernel();
    big.note.*field = field == &npu_note_kernel::group_tiles ? 5 : 1 << 20;
    big.note.name[0] = 'b';
    const isa::Program named[] = {null_kernel(), big};
    EXPECT_EQ(load(signed_blob(named)), NPU_ST_BLOB_TOO_LARGE);
    EXPECT_EQ(place_.kernel, 1u);
  }
}

TEST_F(LoaderTest, AnIllegalInstructionInASignedBlobIsFoundAndPlaced) {
  const isa::Program programs[] = {null_kernel(), work_kernel()};
  const Blob good = signed_blob(programs);
  const uint64_t at = code_offset(good);
  ASSERT_EQ(load(resign(good, [](uint8_t*, npu_manifest&) {})), NPU_ST_OK);
  const auto bad_at = [&](size_t insn_index, size_t byte, uint8_t value) {
    return load(resign(good, [&](uint8_t* elf, npu_manifest&) {
      elf[at + insn_index * NPU_INSN_BYTES + byte] = value;
    }));
  };
  EXPECT_EQ(bad_at(0, 0, 0xff), NPU_ST_BLOB_INSTRUCTION);  // no such operation
  EXPECT_EQ(place_.kernel, 0u);
  EXPECT_EQ(bad_at(1 + 2, 0, 0x7f), NPU_ST_BLOB_INSTRUCTION);
  EXPECT_EQ(place_.kernel, 1u);
  EXPECT_EQ(place_.pc, 2u);
  EXPECT_EQ(bad_at(1, 1, 1), NPU_ST_BLOB_INSTRUCTION);           // reserved byte
  EXPECT_EQ(bad_at(1, 2, 1), NPU_ST_BLOB_INSTRUCTION);           // a flag that SREG does not take
  EXPECT_EQ(bad_at(1, 4, 1), NPU_ST_BLOB_INSTRUCTION);           // a tile operand
  EXPECT_EQ(bad_at(1, 24, 32), NPU_ST_BLOB_INSTRUCTION);         // register 32
  EXPECT_EQ(bad_at(3, 20, 4), NPU_ST_BLOB_INSTRUCTION);          // ARG that is not aligned
  EXPECT_EQ(bad_at(3, 20, 8), NPU_ST_BLOB_INSTRUCTION);          // ARG behind the block
  EXPECT_EQ(bad_at(5, 20, 1), NPU_ST_BLOB_INSTRUCTION);          // LOOP that names no END
  EXPECT_EQ(bad_at(8, 0, NPU_OP_NOP), NPU_ST_BLOB_INSTRUCTION);  // runs off its end
  EXPECT_EQ(bad_at(1, 28, 1), NPU_ST_BLOB_INSTRUCTION);          // line 1 of an empty table
  EXPECT_EQ(bad_at(6, 0, NPU_OP_HALT), NPU_ST_OK);
}

TEST_F(LoaderTest, ElfFieldsAreChecked) {
  const Blob good = small_blob();
  const auto bad_byte = [&](size_t offset, uint8_t value) {
    return load(resign(good, [&](uint8_t* elf, npu_manifest&) { elf[offset] = value; }));
  };
  EXPECT_EQ(bad_byte(0, 0), NPU_ST_BLOB_FORMAT);      // magic
  EXPECT_EQ(bad_byte(4, 1), NPU_ST_BLOB_FORMAT);      // 32 bits
  EXPECT_EQ(bad_byte(5, 2), NPU_ST_BLOB_FORMAT);      // big-endian
  EXPECT_EQ(bad_byte(16, 1), NPU_ST_BLOB_FORMAT);     // type
  EXPECT_EQ(bad_byte(18, 0), NPU_ST_BLOB_FORMAT);     // machine
  EXPECT_EQ(bad_byte(51, 99), NPU_ST_BLOB_ISA);       // major in e_flags
  EXPECT_EQ(bad_byte(48, 1), NPU_ST_BLOB_ISA);        // reserved part of e_flags
  EXPECT_EQ(bad_byte(56, 200), NPU_ST_BLOB_FORMAT);   // number of program headers
  EXPECT_EQ(bad_byte(33, 0xff), NPU_ST_BLOB_FORMAT);  // place of the program headers
}

TEST_F(LoaderTest, SignedBlobsWithRandomBytesNeverCrashTheReader) {
  const uint64_t seed = 42;
  std::mt19937_64 random(seed);
  const Blob good = standard_blob();
  npu_manifest_trailer trailer;
  std::memcpy(&trailer, good.data() + good.size() - sizeof(trailer), sizeof(trailer));
  const size_t elf_bytes = good.size() - trailer.manifest_bytes;
  for (int round = 0; round < 3000; ++round) {
    const Blob blob = resign(good, [&](uint8_t* elf, npu_manifest&) {
      for (uint64_t i = 0; i < 1 + random() % 4; ++i) {
        elf[random() % elf_bytes] = static_cast<uint8_t>(random());
      }
    });
    load(blob);
  }
}

TEST(LoaderOnDeviceTest, StatusAndPlaceComeBackInTheRecord) {
  TestDriver driver;
  const uint32_t context = driver.create_context();
  const auto record_of = [&](const Blob& blob) {
    TestQueue queue = driver.create_queue(context);
    return driver.load_module(queue, blob);
  };
  EXPECT_EQ(record_of({}).status, NPU_ST_BLOB_FORMAT);
  const isa::Program programs[] = {null_kernel(), work_kernel()};
  const Blob good = signed_blob(programs);
  const uint64_t at = code_offset(good);
  const npu_completion record = record_of(
      resign(good, [&](uint8_t* elf, npu_manifest&) { elf[at + 3 * NPU_INSN_BYTES] = 0xee; }));
  EXPECT_EQ(record.status, NPU_ST_BLOB_INSTRUCTION);
  EXPECT_EQ(record.kernel, 1u);
  EXPECT_EQ(record.pc, 2u);
  EXPECT_EQ(record_of(good).status, NPU_ST_OK);

  TestQueue queue = driver.create_queue(context);
  npu_cmd_module command{};
  command.op = NPU_CMD_MODULE_LOAD;
  command.blob_dva = 0x10000;
  command.blob_bytes = 1000;
  EXPECT_EQ(queue.run(command).status, NPU_ST_VM_FAULT);
  TestQueue queue2 = driver.create_queue(context);
  command.blob_bytes = NPU_BLOB_MAX_BYTES + 1;
  EXPECT_EQ(queue2.run(command).status, NPU_ST_BLOB_TOO_LARGE);
  TestQueue queue3 = driver.create_queue(context);
  command.blob_bytes = 100;
  command.module = 1;
  EXPECT_EQ(queue3.run(command).status, NPU_ST_BAD_COMMAND);
}

}  // namespace
}  // namespace npu::test
