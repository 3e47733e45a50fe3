/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, and what to do about it. */
#ifndef NPU_NPU_ERROR_H
#define NPU_NPU_ERROR_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Detail of a failing call. Strings end with a NUL inside their array and are cut when too long. */
typedef struct npuErrorInfo {
  uint32_t struct_size; /* in: sizeof(npuErrorInfo) */
  npuResult code;       /* what the call returned */
  int32_t sys_errno;    /* errno of the system call behind it, or 0 */
  uint32_t reserved;
  char function[64]; /* the public function that failed */
  char text[512];    /* one sentence: what was wrong, with names and numbers */
  char remedy[256];  /* one sentence: what to do */
} npuErrorInfo;

/* Writes the detail of the last call of this thread that returned an error to |inout_info|. Succeeding calls do not change it; code = NPU_OK: there was none so far.
 *
 * Threads:   any; the detail is the calling thread's own.
 * Blocks:    no.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT  inout_info is NULL
 *            NPU_ERROR_STRUCT_SIZE
 * Since:     0.1
 */
NPU_API npuResult npuErrorGetInfo(npuErrorInfo *inout_info);

/* The name of a code ("NPU_ERROR_BUSY"), its meaning as a sentence, and its remedy. Static strings, never NULL; an unknown code gives "NPU_UNKNOWN" and an empty remedy.
 *
 * Threads:   any.   Blocks: no.   Errors: none.   Since: 0.1
 */
NPU_API const char *npuResultGetName(npuResult result);
NPU_API const char *npuResultGetText(npuResult result);
NPU_API const char *npuResultGetRemedy(npuResult result);

NPU_EXTERN_C_END

#endif
