// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include "npu_drv.h"

#define CREATE_TRACE_POINTS
#include "npu_trace.h"
