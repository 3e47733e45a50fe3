// SPDX-License-Identifier: Apache-2.0
// Names and texts of result codes.
#include <set>
#include <string>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

TEST(Results, EveryCodeHasANameATextAndErrorsARemedy) {
  std::set<std::string> names;
  int known = 0;
  for (npuResult code = 10; code >= -600; code--) {
    const std::string name = npuResultGetName(code);
    ASSERT_NE(npuResultGetText(code), nullptr);
    ASSERT_NE(npuResultGetRemedy(code), nullptr);
    if (name == "NPU_UNKNOWN") {
      EXPECT_STREQ(npuResultGetRemedy(code), "");
      continue;
    }
    known++;
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(name.rfind(code < 0 ? "NPU_ERROR_" : "NPU_", 0), 0u);
    EXPECT_STRNE(npuResultGetText(code), "");
    if (code < 0) {
      EXPECT_STRNE(npuResultGetRemedy(code), "") << name;
    }
  }
  EXPECT_GE(known, 55);
  EXPECT_STREQ(npuResultGetName(NPU_ERROR_KERNEL_DEADLOCK), "NPU_ERROR_KERNEL_DEADLOCK");
}

}  // namespace
}  // namespace npu::conformance
