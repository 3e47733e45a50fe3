// SPDX-License-Identifier: Apache-2.0
// What a kernel in C++ includes: the builder, its pipes, and the function that hands kernels to npu_add_blob() (docs/kernels.md).
#pragma once

#include <vector>

#include "tools/isa/builder.h"
#include "tools/isa/pipe.h"
#include "tools/isa/program.h"

// Written by you, called once while your project is built: the kernels of the blob. Names must differ.
std::vector<npu::isa::Program> npu_kernels();
