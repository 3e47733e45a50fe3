/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled with -Wpadded -Werror: no struct of the uapi has a hole, and each member lies where layout.def says. */
#include <stddef.h>

/* The operand table of npu_isa.h is a table of one process: the only struct here that may have padding. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpadded"
#include "uapi/npu_isa.h"
#pragma GCC diagnostic pop

#include "uapi/npu_accel.h"
#include "uapi/npu_fw.h"
#include "uapi/npu_ioctl.h"
#include "uapi/npu_metrics.h"
#include "uapi/npu_model.h"
#include "uapi/npu_pagetable.h"
#include "uapi/npu_queue.h"
#include "uapi/npu_regs.h"
#include "uapi/npu_status.h"
#include "uapi/npu_validate.h"
#include "uapi/npu_wire.h"

#define NPU_LAYOUT(type, member, offset, bytes)                                 \
  _Static_assert(offsetof(struct type, member) == (offset), #type "." #member); \
  _Static_assert(sizeof(((struct type *)0)->member) == (bytes), #type "." #member);
#define NPU_LAYOUT_SIZE(type, bytes) \
  _Static_assert(sizeof(struct type) == (bytes) && (bytes) % 8 == 0, #type);
#include "layout.def"

_Static_assert(sizeof(struct npu_insn) == 1 + 1 + 2 + 4 + 4 * 4 + 4 + 4, "npu_insn has a hole");
_Static_assert(sizeof(struct npu_tdesc) == 8 + 3 * 4 + 4 + 8, "npu_tdesc has a hole");
