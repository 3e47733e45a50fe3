// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/blob.h"

#include <gtest/gtest.h>

#include "tools/isa/blob.h"
#include "tools/isa/builder.h"

namespace npu {
namespace {

std::vector<std::byte> make_elf() {
  isa::Kernel k("scale");
  isa::Reg x = k.arg_dva("x");
  isa::Reg factor = k.arg_f32("factor");
  k.halt();
  std::vector<isa::Program> programs;
  programs.push_back(k.finish());
  const auto elf = isa::write_elf(programs);
  EXPECT_TRUE(elf) << elf.error();
  const auto* bytes = reinterpret_cast<const std::byte*>(elf->data());
  return {bytes, bytes + elf->size()};
}

TEST(BlobTest, ReadsKernelsArgumentsAndLines) {
  const auto elf = make_elf();
  auto image = read_image(elf);
  ASSERT_TRUE(image.is_ok());
  ASSERT_EQ(image.value().kernels.size(), 1u);
  const KernelImage& kernel = image.value().kernels[0];
  EXPECT_STREQ(kernel.note.name, "scale");
  ASSERT_EQ(kernel.args.size(), 2u);
  EXPECT_STREQ(kernel.args[1].name, "factor");
  EXPECT_EQ(kernel.args[1].kind, NPU_ARG_F32);
  EXPECT_EQ(image.value().find("scale"), 0);
  EXPECT_EQ(image.value().find("scal"), -1);
  std::string file;
  uint32_t line = 0;
  EXPECT_TRUE(image.value().place_of(1, &file, &line));
  EXPECT_GT(line, 0u);
  EXPECT_FALSE(image.value().place_of(0, &file, &line));
  EXPECT_FALSE(image.value().place_of(0xffffffff, &file, &line));
}

TEST(BlobTest, CutFilesAreRefused) {
  const auto elf = make_elf();
  for (size_t size = 0; size < 64; size++)
    EXPECT_FALSE(read_image({elf.data(), size}).is_ok()) << size;
}

}  // namespace
}  // namespace npu
