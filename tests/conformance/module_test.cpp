// SPDX-License-Identifier: Apache-2.0
// Modules and kernels: good blobs, and every way in which one can be bad.
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>

#include "tests/conformance/support.h"
#include "tools/isa/blob.h"

namespace npu::conformance {
namespace {

class ModuleTest : public DeviceTest {
 protected:
  npuResult load(const std::vector<uint8_t>& blob) {
    npuModule module = module_;
    const npuResult result = npuModuleLoadData(context_, blob.data(), blob.size(), &module);
    if (result == NPU_OK) {
      EXPECT_NPU(NPU_OK, npuModuleUnload(module));
    } else {
      EXPECT_EQ(module, nullptr);
    }
    return result;
  }
  // The test blob, signed anew: other bytes, the same kernels.
  std::vector<uint8_t> blob_with_counter(uint64_t counter) {
    std::ifstream file(NPU_CONFORMANCE_KEY);
    std::string line;
    std::getline(file, line);  // says what it is
    std::getline(file, line);
    std::array<uint8_t, 32> seed{};
    EXPECT_EQ(line.size(), 2 * seed.size()) << NPU_CONFORMANCE_KEY;
    for (size_t i = 0; i < seed.size() && 2 * i + 2 <= line.size(); i++) {
      seed[i] = static_cast<uint8_t>(std::stoul(line.substr(2 * i, 2), nullptr, 16));
    }
    const auto blob = isa::sign_elf(read_blob_file(), isa::key_pair_from_seed(seed),
                                    {.security_counter = counter});
    EXPECT_TRUE(blob) << blob.error();
    return blob ? *blob : std::vector<uint8_t>();
  }
  npuModuleCacheStats cache() {
    npuModuleCacheStats stats{};
    stats.struct_size = sizeof stats;
    EXPECT_NPU(NPU_OK, npuModuleGetCacheStats(context_, &stats));
    return stats;
  }
  size_t elf_bytes(const std::vector<uint8_t>& blob) {
    const auto read = isa::read_blob(blob);
    EXPECT_TRUE(read) << read.error();
    return read ? read->elf_bytes : 0;
  }
};

TEST_F(ModuleTest, KernelsAreFoundByNameAndByNumber) {
  uint32_t count = 0;
  ASSERT_NPU(NPU_OK, npuModuleGetKernelCount(module_, &count));
  EXPECT_EQ(count, 15u);
  for (uint32_t i = 0; i < count; i++) {
    npuKernel by_number = nullptr;
    npuKernel by_name = nullptr;
    npuKernelInfo info{};
    info.struct_size = sizeof info;
    ASSERT_NPU(NPU_OK, npuModuleGetKernelAt(module_, i, &by_number));
    ASSERT_NPU(NPU_OK, npuKernelGetInfo(by_number, &info));
    ASSERT_NPU(NPU_OK, npuModuleGetKernel(module_, info.name, &by_name));
    EXPECT_EQ(by_name, by_number) << info.name;
  }
  npuKernel none = kernel("null");
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuModuleGetKernel(module_, "nulL", &none));
  EXPECT_EQ(none, nullptr);
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuModuleGetKernelAt(module_, count, &none));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuModuleGetKernel(module_, nullptr, &none));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuModuleGetKernel(module_, "null", nullptr));
}

TEST_F(ModuleTest, ArgumentsAreDescribed) {
  const npuKernel add = kernel("add_scalar");
  npuKernelInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuKernelGetInfo(add, &info));
  EXPECT_EQ(info.arg_count, 3u);
  EXPECT_EQ(info.args_bytes, sizeof(AddArgs));
  EXPECT_EQ(info.group_tiles, 1u);
  EXPECT_GE(info.l1_bytes, 1024u);
  npuArgInfo arg{};
  arg.struct_size = sizeof arg;
  ASSERT_NPU(NPU_OK, npuKernelGetArg(add, 1, &arg));
  EXPECT_STREQ(arg.name, "y");
  EXPECT_EQ(arg.offset_bytes, 8u);
  EXPECT_EQ(arg.size_bytes, 8u);
  EXPECT_EQ(arg.kind, 5u);
  ASSERT_NPU(NPU_OK, npuKernelGetArg(add, 2, &arg));
  EXPECT_EQ(arg.kind, 3u);
  EXPECT_EQ(arg.size_bytes, 4u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuKernelGetArg(add, 3, &arg));
}

TEST_F(ModuleTest, FilesThatCannotBeReadAreNamed) {
  npuModule module = module_;
  EXPECT_NPU(NPU_ERROR_FILE, npuModuleLoad(context_, "/nowhere/at/all.nfw", &module));
  EXPECT_EQ(module, nullptr);
  EXPECT_NE(std::strstr(last_error().text, "/nowhere/at/all.nfw"), nullptr);
  EXPECT_EQ(last_error().sys_errno, ENOENT);
  EXPECT_NPU(NPU_ERROR_FILE, npuModuleLoad(context_, "/", &module));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuModuleLoad(context_, nullptr, &module));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuModuleLoadData(context_, nullptr, 5, &module));
  EXPECT_NPU(NPU_ERROR_BLOB_TOO_LARGE, npuModuleLoad(context_, "/dev/zero", &module));
  EXPECT_NPU(NPU_ERROR_BLOB_TOO_LARGE, npuModuleLoadData(context_, "x", ~uint64_t{0}, &module));
  EXPECT_NPU(NPU_ERROR_BLOB_FORMAT, npuModuleLoad(context_, "/dev/null", &module));
}

TEST_F(ModuleTest, UnsignedBlobsAreRefused) {
  std::vector<uint8_t> blob = read_blob_file();
  blob.resize(elf_bytes(blob));
  const npuResult result = load(blob);
  EXPECT_TRUE(result == NPU_ERROR_BLOB_UNSIGNED || result == NPU_ERROR_BLOB_FORMAT)
      << explain(result);
}

TEST_F(ModuleTest, WhatIsNoBlobIsNotToBeSigned) {
  for (const size_t size : {1u, 40u, 4096u}) {
    EXPECT_NPU(NPU_ERROR_BLOB_FORMAT, load(std::vector<uint8_t>(size, 'A'))) << size;
  }
  std::vector<uint8_t> cut = read_blob_file();
  cut.resize(40);
  EXPECT_NPU(NPU_ERROR_BLOB_FORMAT, load(cut));
}

TEST_F(ModuleTest, BlobsOfAnotherKeyAreRefused) {
  const std::vector<uint8_t> blob = read_blob_file();
  const std::vector<uint8_t> elf(blob.begin(), blob.begin() + static_cast<long>(elf_bytes(blob)));
  std::array<uint8_t, 32> seed{};
  seed.fill(7);
  const auto other = isa::sign_elf(elf, isa::key_pair_from_seed(seed));
  ASSERT_TRUE(other) << other.error();
  EXPECT_NPU(NPU_ERROR_BLOB_KEY, load(*other));
  EXPECT_NPU(NPU_OK, load(blob));
}

TEST_F(ModuleTest, AlteredBlobsAreRefusedWhereverTheyWereAltered) {
  const std::vector<uint8_t> blob = read_blob_file();
  const uint32_t seed = 99;
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 60; i++) {
    std::vector<uint8_t> altered = blob;
    const size_t at = random() % altered.size();
    altered[at] ^= static_cast<uint8_t>(1u << random() % 8);
    const npuResult result = load(altered);
    EXPECT_LE(result, NPU_ERROR_BLOB_FORMAT) << "byte " << at << ": " << explain(result);
    EXPECT_GE(result, NPU_ERROR_BLOB_TOO_LARGE) << "byte " << at << ": " << explain(result);
  }
  EXPECT_NPU(NPU_OK, load(blob));
}

TEST_F(ModuleTest, TruncatedBlobsAreRefused) {
  const std::vector<uint8_t> blob = read_blob_file();
  for (size_t size = 1; size < blob.size(); size += 1 + blob.size() / 40) {
    const npuResult result = load({blob.begin(), blob.begin() + static_cast<long>(size)});
    EXPECT_LE(result, NPU_ERROR_BLOB_FORMAT) << size << ": " << explain(result);
    EXPECT_GE(result, NPU_ERROR_BLOB_TOO_LARGE) << size << ": " << explain(result);
  }
}

TEST_F(ModuleTest, KernelsGoWithTheirModuleButLaunchedOnesFinish) {
  const npuDevPtr gate = alloc(8);
  const npuDevPtr out = alloc(64);
  npuModule module = nullptr;
  npuKernel poke = nullptr;
  ASSERT_NPU(NPU_OK, npuModuleLoad(context_, blob_path().c_str(), &module));
  ASSERT_NPU(NPU_OK, npuModuleGetKernel(module, "poke", &poke));
  const PokeArgs args{out, 2.5f, 0};
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, launch(queue_, poke, &args, sizeof args));
  ASSERT_NPU(NPU_OK, npuModuleUnload(module));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, launch(queue_, poke, &args, sizeof args));
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  float value = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &value, out, sizeof value));
  EXPECT_EQ(value, 2.5f);
}

TEST_F(ModuleTest, ModulesCanBeLoadedAndUnloadedForEver) {
  const std::vector<uint8_t> blob = read_blob_file();
  for (int i = 0; i < 600; i++) ASSERT_NPU(NPU_OK, load(blob)) << i;
}

TEST_F(ModuleTest, TooManyModulesIsAnErrorOfItsOwn) {
  // Equal blobs would be one module on the device.
  std::vector<npuModule> modules;
  npuModule module = nullptr;
  npuResult result = NPU_OK;
  uint64_t counter = 1;
  const auto load_next = [&] {
    const std::vector<uint8_t> blob = blob_with_counter(counter++);
    return npuModuleLoadData(context_, blob.data(), blob.size(), &module);
  };
  while (modules.size() < 2000 && (result = load_next()) == NPU_OK) modules.push_back(module);
  EXPECT_NPU(NPU_ERROR_OUT_OF_MODULES, result);
  ASSERT_NPU(NPU_OK, npuModuleUnload(modules.back()));
  ASSERT_NPU(NPU_OK, load_next());
}

TEST_F(ModuleTest, EqualBlobsShareOneCopyUntilTheLastGoes) {
  const std::vector<uint8_t> blob = read_blob_file();
  const npuModuleCacheStats before = cache();
  EXPECT_EQ(before.copies, 1u);  // of the fixture
  EXPECT_EQ(before.modules, 1u);
  EXPECT_EQ(before.bytes, blob.size());
  std::vector<npuModule> modules(600);  // a device holds fewer
  for (npuModule& module : modules) {
    ASSERT_NPU(NPU_OK, npuModuleLoadData(context_, blob.data(), blob.size(), &module));
  }
  EXPECT_EQ(cache().copies, 1u);
  EXPECT_EQ(cache().modules, 601u);
  EXPECT_EQ(cache().hits, before.hits + 600);
  EXPECT_EQ(cache().misses, before.misses);
  npuKernel first = nullptr;
  npuKernel last = nullptr;
  ASSERT_NPU(NPU_OK, npuModuleGetKernel(modules.front(), "null", &first));
  ASSERT_NPU(NPU_OK, npuModuleGetKernel(modules.back(), "null", &last));
  EXPECT_NE(first, last);
  ASSERT_NPU(NPU_OK, npuModuleUnload(module_));
  module_ = nullptr;
  for (size_t i = 0; i + 1 < modules.size(); i++) ASSERT_NPU(NPU_OK, npuModuleUnload(modules[i]));
  EXPECT_EQ(cache().copies, 1u);
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, launch(queue_, first, nullptr, 0));
  ASSERT_NPU(NPU_OK, launch(queue_, last, nullptr, 0));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, npuModuleUnload(modules.back()));
  EXPECT_EQ(cache().copies, 0u);
  EXPECT_EQ(cache().modules, 0u);
  EXPECT_EQ(cache().bytes, 0u);
  EXPECT_NPU(NPU_OK, load(blob));
  EXPECT_EQ(cache().misses, before.misses + 1);
}

TEST_F(ModuleTest, AnAlteredBlobIsNotTakenForItsOriginal) {
  std::vector<uint8_t> blob = read_blob_file();
  EXPECT_NPU(NPU_OK, load(blob));
  blob[300] ^= 1;
  EXPECT_NPU(NPU_ERROR_BLOB_SIGNATURE, load(blob));
  EXPECT_EQ(cache().copies, 1u);
}

TEST_F(ModuleTest, ACheckSaysWhatALoadWouldSayAndLoadsNothing) {
  const std::vector<uint8_t> good = read_blob_file();
  const uint64_t free = free_bytes();
  EXPECT_NPU(NPU_OK, npuModuleCheck(device_, blob_path().c_str()));
  EXPECT_NPU(NPU_OK, npuModuleCheckData(device_, good.data(), good.size()));
  EXPECT_EQ(free_bytes(), free);
  const uint32_t seed = 7;
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  std::vector<std::vector<uint8_t>> bad = {{}, {1, 2, 3}, std::vector<uint8_t>(4096, 'A')};
  bad.emplace_back(good.begin(), good.begin() + static_cast<long>(elf_bytes(good)));
  bad.emplace_back(good.begin(), good.end() - 20);
  for (int i = 0; i < 30; i++) {
    bad.push_back(good);
    bad.back()[random() % good.size()] ^= static_cast<uint8_t>(1u << random() % 8);
  }
  std::array<uint8_t, 32> other{};
  other.fill(7);
  const auto foreign = isa::sign_elf(good, isa::key_pair_from_seed(other));
  ASSERT_TRUE(foreign) << foreign.error();
  bad.push_back(*foreign);
  for (const std::vector<uint8_t>& blob : bad) {
    const uint8_t none = 0;
    const void* data = blob.empty() ? &none : blob.data();
    npuModule module = nullptr;
    const npuResult loaded = npuModuleLoadData(context_, data, blob.size(), &module);
    const std::string load_text = last_error().text;
    EXPECT_LT(loaded, 0);
    EXPECT_EQ(npuModuleCheckData(device_, data, blob.size()), loaded) << load_text;
    EXPECT_EQ(last_error().text, load_text);
  }
  EXPECT_NPU(NPU_ERROR_FILE, npuModuleCheck(device_, "/nowhere/at/all.nfw"));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuModuleCheck(device_, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuModuleCheck(nullptr, blob_path().c_str()));
}

TEST_F(ModuleTest, KernelsSayWhatTheyUseAndHowManyRunAtOnce) {
  npuKernelInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuKernelGetInfo(kernel("add_scalar"), &info));
  EXPECT_GT(info.code_bytes, 0u);
  EXPECT_EQ(info.code_bytes % 32, 0u);
  EXPECT_GE(info.registers, 3u);
  EXPECT_LE(info.registers, 31u);
  EXPECT_GE(info.descriptors, 2u);
  EXPECT_GE(info.semaphores, 1u);
  EXPECT_EQ(info.flags, 0u);
  EXPECT_EQ(info.max_groups, uint64_t{1} << 31);
  ASSERT_NPU(NPU_OK, npuKernelGetInfo(kernel("null"), &info));
  EXPECT_EQ(info.code_bytes, 32u);
  EXPECT_EQ(info.registers, 0u);
  EXPECT_EQ(info.descriptors, 0u);
  EXPECT_EQ(info.semaphores, 0u);
  ASSERT_NPU(NPU_OK, npuKernelGetInfo(kernel("print_lines"), &info));
  EXPECT_EQ(info.flags, uint32_t{NPU_KERNEL_PRINTS});
  npuKernelInfo old[2];
  std::memset(old, 0x5a, sizeof old);
  old[0].struct_size = 96;  // of version 0.1
  ASSERT_NPU(NPU_OK, npuKernelGetInfo(kernel("null"), old));
  EXPECT_STREQ(old[0].name, "null");
  EXPECT_EQ(old[0].code_bytes, 0x5a5a5a5au);

  npuDeviceInfo device{};
  device.struct_size = sizeof device;
  ASSERT_NPU(NPU_OK, npuDeviceGetInfo(device_, &device));
  npuOccupancy occupancy{};
  occupancy.struct_size = sizeof occupancy;
  ASSERT_NPU(NPU_OK, npuKernelGetOccupancy(kernel("null"), &occupancy));
  EXPECT_EQ(occupancy.groups, device.clusters * device.tiles_per_cluster);
  EXPECT_EQ(occupancy.groups_per_cluster, device.tiles_per_cluster);
  EXPECT_EQ(occupancy.busy_tiles, occupancy.groups);
  EXPECT_EQ(occupancy.idle_tiles, 0u);
  EXPECT_EQ(occupancy.limited_by, NPU_LIMITED_BY_TILES);
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuKernelGetOccupancy(nullptr, &occupancy));
}

TEST_F(ModuleTest, ArgumentsArePackedByKindAndErrorsNameThem) {
  const npuKernel add = kernel("add_scalar");
  npuArgValue values[3] = {};
  values[0].kind = 5;
  values[0].as.address = 0x1234;
  values[1].kind = 5;
  values[1].as.address = 0x5678;
  values[2].kind = 3;
  values[2].as.f32 = 2.5f;
  AddArgs block{};
  ASSERT_NPU(NPU_OK, npuKernelPackArgs(add, 3, values, &block, sizeof block));
  EXPECT_EQ(block.x, 0x1234u);
  EXPECT_EQ(block.y, 0x5678u);
  EXPECT_EQ(block.s, 2.5f);
  const auto names = [](const char* part) {
    EXPECT_NE(std::string(last_error().text).find(part), std::string::npos) << last_error().text;
  };
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, npuKernelPackArgs(add, 2, values, &block, sizeof block));
  names("'s'");
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, npuKernelPackArgs(add, 4, values, &block, sizeof block));
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, npuKernelPackArgs(add, 3, values, &block, 8));
  values[1].kind = 1;
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, npuKernelPackArgs(add, 3, values, &block, sizeof block));
  names("'y', is address, not uint32");
  values[1].kind = 5;
  values[1].reserved = 1;
  EXPECT_NPU(NPU_ERROR_RESERVED_NOT_ZERO, npuKernelPackArgs(add, 3, values, &block, sizeof block));
  EXPECT_NPU(NPU_OK, npuKernelPackArgs(kernel("null"), 0, nullptr, nullptr, 0));
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, launch(queue_, add, &block, 16));
  names("argument 's', 4 bytes at offset 16");
}

}  // namespace
}  // namespace npu::conformance
