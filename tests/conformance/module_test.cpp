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
  size_t elf_bytes(const std::vector<uint8_t>& blob) {
    const auto read = isa::read_blob(blob);
    EXPECT_TRUE(read) << read.error();
    return read ? read->elf_bytes : 0;
  }
};

TEST_F(ModuleTest, KernelsAreFoundByNameAndByNumber) {
  uint32_t count = 0;
  ASSERT_NPU(NPU_OK, npuModuleGetKernelCount(module_, &count));
  EXPECT_EQ(count, 9u);
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
  const std::vector<uint8_t> blob = read_blob_file();
  std::vector<npuModule> modules;
  npuModule module = nullptr;
  npuResult result = NPU_OK;
  while (modules.size() < 2000 &&
         (result = npuModuleLoadData(context_, blob.data(), blob.size(), &module)) == NPU_OK) {
    modules.push_back(module);
  }
  EXPECT_NPU(NPU_ERROR_OUT_OF_MODULES, result);
  ASSERT_NPU(NPU_OK, npuModuleUnload(modules.back()));
  ASSERT_NPU(NPU_OK, npuModuleLoadData(context_, blob.data(), blob.size(), &module));
}

}  // namespace
}  // namespace npu::conformance
