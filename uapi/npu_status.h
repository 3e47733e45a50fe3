/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Result codes of completions and of the device's mailbox; the numbers are in spec/status.def. */
#ifndef NPU_UAPI_STATUS_H
#define NPU_UAPI_STATUS_H

enum npu_status {
#define NPU_STATUS(value, NAME, cause, remedy) NPU_ST_##NAME = value,
#include "spec/status.def"
};

#endif
