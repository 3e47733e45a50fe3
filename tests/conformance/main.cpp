// SPDX-License-Identifier: Apache-2.0
// Start of a conformance program: NPU_DEVICE names the road, exclusions.txt what the road cannot do.
#include <gtest/gtest.h>

#include "tests/conformance/exclusions.h"
#include "tests/conformance/support.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return npu::conformance::run_with_exclusions(npu::conformance::data_path("exclusions.txt"),
                                               npu::conformance::road_name(), {"/proc/self/exe"});
}
