// SPDX-License-Identifier: Apache-2.0
// Reports of the device: places become files and lines.
#include "libnpu/src/core/print.h"

#include <gtest/gtest.h>

namespace npu {
namespace {

Image image() {
  Image image;
  image.strings = std::string("\0src/ring.cpp\0", 14);
  image.lines = {{.file = 1, .line = 7}, {.file = 1, .line = 12}, {.file = 99, .line = 1}};
  return image;
}

TEST(Report, PlacesBecomeFilesAndLines) {
  const Image known = image();
  EXPECT_EQ(with_places(&known, "ld @3/1 and vadd @65535/2"),
            "ld (ring.cpp:7) and vadd (ring.cpp:12)");
}

TEST(Report, WithoutALineTheInstructionStays) {
  const Image known = image();
  EXPECT_EQ(with_places(&known, "ld @3/0, @4/4, @5/3"),
            "ld (instruction 3), (instruction 4), (instruction 5)");
  EXPECT_EQ(with_places(nullptr, "ld @3/1"), "ld (instruction 3)");
}

TEST(Report, WhatIsNoPlaceStays) {
  const Image known = image();
  for (const char* text : {"", "@", "a@b", "@1", "@1/", "@/1", "@99999999999/1", "@1/99999999999"})
    EXPECT_EQ(with_places(&known, text), text);
}

}  // namespace
}  // namespace npu
