// SPDX-License-Identifier: Apache-2.0
// GraphFixture: a graph under construction, and two buffers for its nodes.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {

class GraphFixture : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_NPU(NPU_OK, npuGraphCreate(context_, &graph_));
    a_ = alloc(4096);
    b_ = alloc(4096);
  }
  npuGraphNode add_poke(npuDevPtr at, float value, std::vector<npuGraphNode> deps = {}) {
    const PokeArgs args{at, value, 0};
    const npuLaunchInfo info = launch_info(&args, sizeof args);
    npuGraphNode node = 0;
    EXPECT_NPU(NPU_OK, npuGraphAddKernel(graph_, static_cast<uint32_t>(deps.size()), deps.data(),
                                         kernel("poke"), &info, &node));
    return node;
  }
  npuGraphExec instantiate() {
    npuGraphExec exec = nullptr;
    EXPECT_NPU(NPU_OK, npuGraphInstantiate(graph_, &exec));
    return exec;
  }
  npuResult run(npuGraphExec exec, npuQueue queue) {
    uint64_t value = 0;
    const npuResult result = npuGraphLaunch(exec, queue, &value);
    EXPECT_TRUE(result != NPU_OK || value != 0);
    return result == NPU_OK ? npuQueueWait(queue, value, kLongNs) : result;
  }
  std::string dump(npuGraphFormat format) {
    uint64_t bytes = 0;
    EXPECT_NPU(NPU_OK, npuGraphDump(graph_, format, &bytes, nullptr));
    std::string text(bytes, 'x');
    EXPECT_NPU(NPU_OK, npuGraphDump(graph_, format, &bytes, text.data()));
    EXPECT_EQ(text.back(), '\0');
    text.pop_back();
    return text;
  }

  npuGraph graph_ = nullptr;
  npuDevPtr a_ = 0;
  npuDevPtr b_ = 0;
};

}  // namespace npu::conformance
