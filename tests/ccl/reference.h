// SPDX-License-Identifier: Apache-2.0
// The scalar reference of every collective, on bytes: what each rank's output must be, bit for bit.
#pragma once

#include <npu/npu_ccl.h>

#include <cstdint>
#include <vector>

namespace npu::test {

using Bytes = std::vector<uint8_t>;

uint32_t size_of(npuDataType type);

// |count| numbers of |type| that are different for each seed.
Bytes numbers(npuDataType type, uint64_t count, uint64_t seed);
// The canonical reduction of equally long vectors. |factors|: of a pre-multiplied sum, one for each rank; else empty.
Bytes reduced(npuDataType type, npuCclRedOp op, const std::vector<Bytes>& inputs,
              const std::vector<float>& factors = {});

}  // namespace npu::test
