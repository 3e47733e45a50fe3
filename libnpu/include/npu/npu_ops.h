/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libnpuops: operators on matrices and tensors, each one launch of a program from the blob npu_ops.nfw. The rules of npu_types.h hold here too.
 *
 * Operands   Device addresses of the context (npuMemAlloc), given to the device as they are: the library reads no tensor and keeps none. Memory must stay allocated until the
 *            operator has completed. An address that is not mapped stops the queue with NPU_ERROR_VM_FAULT when the operator runs, not when it is submitted.
 * Shapes     Counts and distances are in elements. Rows lie one after the other at a distance ("ld", "stride") of at least their length; ld = 0 means dense. Each count and
 *            distance is below 2^31. A result without elements is no error: a command that does nothing is submitted.
 * Types      NPU_FLOAT32 and NPU_BFLOAT16; products and conversions take more, see there. Arithmetic is fp32 (bf16 operands are widened exactly), results are rounded once, to nearest even, or as npuOpsRounding tells. Results are a function of the operands
 *            alone: they do not depend on block sizes, number of tiles or host threads. NaN comes out as the canonical quiet NaN.
 * Blocks     Since 0.2. Elements of a type in blocks (NPU_MXFP4, NPU_Q8_0, ...) share scales along a row. Counts and distances are in elements as everywhere; each row begins with a block and ends
 *            with a whole one, so that a distance between rows is a multiple of the block, and 0 means the length of a row rounded up to it. What fills the last block is not looked at
 *            where it is read, and zeros where it is written. Their addresses are multiples of 2 for NPU_Q8_0, NPU_Q4_0, NPU_Q4_K and NPU_Q6_K.
 * In place   Where an operator says so, the result may be exactly an operand (same address and distances). Any other overlap gives undefined elements.
 * Common to all functions that submit:
 *   ops        from npuOpsCreate          queue   of the context that ops was made in
 *   out_value  the command's value on the queue's timeline; may be NULL
 *   Threads:   any.   Blocks: only while the ring of the queue is full.
 *   Errors:    NPU_ERROR_INVALID_HANDLE (ops or queue), NPU_ERROR_STRUCT_SIZE, NPU_ERROR_RESERVED_NOT_ZERO
 *              NPU_ERROR_INVALID_ARGUMENT  info is NULL, a distance smaller than the rows, a count that does not fit another, an unknown enum value
 *              NPU_ERROR_INVALID_ADDRESS   an operand that has elements is 0
 *              NPU_ERROR_UNALIGNED         an address is no multiple of its element size
 *              NPU_ERROR_OVERFLOW          an operand would end beyond 2^64, or a count or distance is 2^31 or more
 *              NPU_ERROR_NOT_SUPPORTED     a type, or a size that the programs do not cover; the limits are stated below
 *              and the errors of npuQueueLaunch. npuOpsGetErrorText tells more.
 */
#ifndef NPU_NPU_OPS_H
#define NPU_NPU_OPS_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* The operator programs, loaded into one context. */
typedef struct npuOpsObject *npuOps;

/* Loads the operators into a context.
 *
 * blob_path  the blob, or NULL: the file that the variable NPU_OPS_BLOB names, else ../share/npu/blobs/npu_ops.nfw or blobs/npu_ops.nfw seen from a folder
 *            above the library (installed tree, build tree). npu_ops_wide1.nfw to npu_ops_wide4.nfw beside it hold programs for large products; one of them is loaded
 *            with the first product that gains by it on this device
 * out_ops    the operators, or NULL. End them with npuOpsDestroy, before or after the context.
 *
 * Threads:   any.   Blocks: until the device has checked the blob.
 * Errors:    NPU_ERROR_FILE (no blob was found), NPU_ERROR_NOT_FOUND (the blob holds other kernels), the errors of npuModuleLoad
 * Since:     0.1
 */
NPU_API npuResult npuOpsCreate(npuContext context, const char *blob_path, npuOps *out_ops);

/* Ends the operators; submitted work still runs. NULL does nothing. Threads: any. Blocks: no. Errors: NPU_ERROR_INVALID_HANDLE. Since: 0.1 */
NPU_API npuResult npuOpsDestroy(npuOps ops);

/* One sentence on the last call of this thread into libnpuops that failed, in its own checks or in libnpu, with names and numbers; empty when there was none. Ask this one for the
 * functions of this header: npuErrorGetInfo knows only what failed in libnpu. Valid until the next failing call of this thread. Never NULL. Threads: any. Blocks: no. Errors: none. Since: 0.1 */
NPU_API const char *npuOpsGetErrorText(void);

/* What an operator's info struct belongs to, for npuOpsCheck. */
typedef int32_t npuOpsKind;
enum {
  NPU_OPS_GEMM = 0,
  NPU_OPS_GEMM_PACK_B = 1,
  NPU_OPS_ATTENTION = 2,
  NPU_OPS_SOFTMAX = 3,
  NPU_OPS_RMS_NORM = 4,
  NPU_OPS_LAYER_NORM = 5,
  NPU_OPS_ROPE = 6,
  NPU_OPS_UNARY = 7,
  NPU_OPS_BINARY = 8,
  NPU_OPS_SILU_MUL = 9,
  NPU_OPS_CONVERT = 10,
  NPU_OPS_GATHER = 11,
  NPU_OPS_SCATTER_ROWS = 12,
  NPU_OPS_ARGMAX = 13
};

/* Whether an operator would be accepted: the same checks as on submission, on the host alone, without a device. |info| is the operator's info struct. Set addresses to any
 * aligned number but 0 when they are not known yet.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    those of the submission; NPU_ERROR_INVALID_ARGUMENT for an unknown kind
 * Since:     0.1
 */
NPU_API npuResult npuOpsCheck(npuOpsKind kind, const void *info);

/* Activations of npuOpsGemm. */
typedef int32_t npuOpsActivation;
enum {
  NPU_OPS_ACT_NONE = 0,
  NPU_OPS_ACT_RELU = 1,
  NPU_OPS_ACT_GELU = 2, /* tanh form */
  NPU_OPS_ACT_SILU = 3,
  NPU_OPS_ACT_GELU_ERF = 4,
  NPU_OPS_ACT_SIGMOID = 5,
  NPU_OPS_ACT_TANH = 6
};

/* How a matrix lies in memory. */
typedef int32_t npuOpsForm;
enum {
  NPU_OPS_PLAIN = 0,      /* as the formula has it, by rows */
  NPU_OPS_TRANSPOSED = 1, /* its transpose, by rows: a weight [n, k] as b */
  NPU_OPS_PACKED = 2      /* b only: made by npuOpsGemmPackB */
};

/* In which order the products of one element of A B are added up; since 0.2. */
typedef int32_t npuOpsOrder;
enum {
  NPU_OPS_ORDER_CHAIN = 0, /* one fp32 chain of fused multiply-adds over ascending k, from 0 */
  NPU_OPS_ORDER_TREE =
      1 /* 16 lanes of such chains, then a fixed tree (docs/numerics.md): B is read once, as it lies, which pays for up to 16 rows of A (decoding). See "Order" below. */
};

/* How a block of an OCP MX type gets its scale from its largest magnitude m, and what is too large for an element; since 0.2. NPU_MX9, NPU_MX6 and NPU_MX4 have NPU_OPS_SCALE_FLOOR only. */
typedef int32_t npuOpsScaleRule;
enum {
  NPU_OPS_SCALE_FLOOR =
      0, /* as the OCP specification says: what exceeds the largest element saturates */
  NPU_OPS_SCALE_CEIL = 1, /* the least scale with which nothing saturates */
  NPU_OPS_SCALE_EVEN = 2, /* as FLOOR, from m rounded to the bits of an element */
  NPU_OPS_SCALE_WIDE = 3  /* twice that of FLOOR */
};

/* How an fp32 result becomes one that its type holds; since 0.2. */
typedef int32_t npuOpsRoundingMode;
enum {
  NPU_OPS_ROUND_NEAREST = 0, /* the nearest number, of two the even one */
  NPU_OPS_ROUND_STOCHASTIC =
      1 /* one of the two numbers beside it, so that the mean is the fp32 result: updates smaller than half a unit are not lost, only rare */
};

/* Rounding of a result, inside the info of npuOpsGemm, npuOpsConvert and NPU_OPS_ADAMW; since 0.2. All zeros: to nearest. Stochastic rounding takes the magnitude q, in units of the last place that the
 * type keeps, to floor(q + w / 2^32), where w is the word of Philox4x32-10 (Salmon et al., SC11) for |seed| and the number of the element alone: number |first| is that of element 0, the others follow in
 * the order of rows whatever their distance is, modulo 2^64. So a run can be had again, bit for bit, whatever blocks, tiles and threads it is cut into. What is rounded more than once (parameters,
 * in each step) needs other words each time: another seed, or a |first| behind the numbers used so far; dropout with the same seed takes the same words.
 * Types: NPU_BFLOAT16, NPU_FLOAT16, NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2, and MX, where the scale of a block is chosen as without it and the elements are rounded. What is too large and NaN: as to nearest.
 * Errors: NPU_ERROR_NOT_SUPPORTED for any other type of the result, NPU_ERROR_INVALID_ARGUMENT for a seed or a first without NPU_OPS_ROUND_STOCHASTIC. */
typedef struct npuOpsRounding {
  npuOpsRoundingMode mode;
  uint32_t reserved; /* 0 */
  uint64_t seed;
  uint64_t first;
} npuOpsRounding;

/* One product of a grouped GEMM, in DEVICE memory, read when the GEMM runs; since 0.2. Members that end in _bytes are added to the info's addresses of the same name (which must not be 0 where the
 * operand is used). Of scale_a, scale_b and bias the group reads m, n and n numbers. */
typedef struct npuOpsGemmGroup {
  uint32_t m, n,
      k; /* at most those of the info, else the queue stops with NPU_ERROR_KERNEL_ASSERT; m or n 0: no work */
  uint32_t lda, ldb, ldc, ldd; /* elements; 0: dense */
  uint32_t reserved;           /* 0 */
  uint64_t a_bytes, b_bytes, c_bytes, d_bytes, bias_bytes, scale_a_bytes, scale_b_bytes;
  uint64_t reserved2; /* 0 */
} npuOpsGemmGroup;

/* D = out_scale act(alpha scale_a A B scale_b + beta C + bias), for |batch| matrices. A is [m, k], B [k, n], C and D [m, n]; bias [n] is added to each row. C is read only when beta is not 0, A and B
 * only when alpha is not 0 and k is not 0. D may be C. In release 0.1 the struct ended with |beta|; the members behind it are taken as 0 from callers of that time.
 *
 * Types      A and B: NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16, NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2, NPU_INT8, and every type in blocks, each with each. Operands are widened to fp32 exactly (Q types:
 *            as docs/reference/isa.md defines the value of an element). NPU_INT8 with NPU_INT8: sums of integers, exact; k is at most 131071.
 *            Types in blocks lie along k: a_form is NPU_OPS_PLAIN for such an A, b_form NPU_OPS_TRANSPOSED for such a B.
 *            D: NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16, NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2, NPU_INT8 and the types in blocks but NPU_Q4_K and NPU_Q6_K; NPU_INT32 where A and B are NPU_INT8, with
 *            alpha 1, beta 0, out_scale 1, and without bias, scales and activation. C: the type of D where that is fp32, bf16 or fp16, else NPU_FLOAT32.
 * Packed     NPU_OPS_PACKED takes types of elements (no blocks), A and B of the same type, or both of FP8.
 * Scales     scale_a [m] and scale_b [n], fp32, multiply the rows and the columns of A B in this order, then alpha does; 0: none. One rounding each.
 * Order      NPU_OPS_ORDER_TREE: m up to 16, m k (k rounded up to the block of A) up to 114688, a_form NPU_OPS_PLAIN, b_form NPU_OPS_TRANSPOSED, k a multiple of B's block; not with
 *            NPU_INT8 for both, not with split_k. Results do not depend on block sizes, tiles or threads with either order.
 * Split      split_k > 1 cuts k into that many parts of equal length (a multiple of the blocks and of 16; the last may be shorter or empty), one chain each, and adds their sums in ascending
 *            order: for small m and n with a large k. The bits depend on split_k, not on the device. Takes two launches and |workspace|: batch split_k m n fp32, that is
 *            npuOpsGemmGetWorkspaceBytes. Not with NPU_INT8 for both, not with groups, and npuOpsGetCommand does not take it. At most 1024.
 * Rounding   of D. Element [i, j] of matrix z (of the batch, or of the groups) has the number first + (z m + i) n + j, with the m and n of this struct.
 * Groups     groups is the device address of group_count records npuOpsGemmGroup: that many products of different shapes in one launch. m, n and k are the largest ones; batch is 0 or 1, lda, ldb, ldc,
 *            ldd and the batch strides are 0. A record that tells what is not so stops the queue, as any wrong address does. */
typedef struct npuOpsGemmInfo {
  uint32_t struct_size;
  npuDataType type;     /* of A, and of B where |mixed| is 0 */
  npuDataType out_type; /* of D */
  npuOpsForm a_form;
  npuOpsForm b_form;
  npuOpsActivation activation;
  uint32_t m, n, k;
  uint32_t batch; /* 0 counts as 1 */
  npuDevPtr a, b, c, d;
  npuDevPtr bias;                          /* fp32; 0: none */
  uint64_t lda, ldb, ldc, ldd;             /* ldb of a packed B must be 0 */
  uint64_t batch_stride_a, batch_stride_b; /* from matrix to matrix; 0: one matrix for all */
  uint64_t batch_stride_c, batch_stride_d;
  float alpha, beta;
  /* since 0.2 */
  uint32_t mixed;     /* 1: B is of b_type */
  npuDataType b_type; /* 0 where |mixed| is 0 */
  npuOpsOrder order;
  uint32_t split_k;           /* parts of k; 0 counts as 1 */
  float out_scale;            /* after the activation; 0 counts as 1 */
  npuOpsScaleRule scale_rule; /* of a D in OCP MX blocks; else 0 */
  uint32_t
      overflow; /* of a D in FP8: 0: what is too large saturates; 1: it becomes NaN (E4M3), infinity (E5M2). Else 0 */
  uint32_t group_count;
  npuDevPtr scale_a, scale_b;
  npuDevPtr workspace;     /* of split_k */
  npuDevPtr groups;        /* 0 where group_count is 0 */
  npuOpsRounding rounding; /* of D */
} npuOpsGemmInfo;

/* Bytes of the workspace that the split_k of |info| takes, 0 without one. Addresses in |info| are not looked at.
 *
 * Threads: any. Blocks: no. Errors: as npuOpsCheck. Since: 0.2 */
NPU_API npuResult npuOpsGemmGetWorkspaceBytes(const npuOpsGemmInfo *info, uint64_t *out_bytes);

/* Submits a GEMM.
 *
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.1
 */
NPU_API npuResult npuOpsGemm(npuOps ops, npuQueue queue, const npuOpsGemmInfo *info,
                             uint64_t *out_value);

/* Re-tiles B so that GEMMs read it as one stream: worth it for weights, above all when m is small. The packed form keeps type and values. Types since 0.2: NPU_FLOAT16, FP8 and NPU_INT8 as well. */
typedef struct npuOpsGemmPackInfo {
  uint32_t struct_size;
  npuDataType type;
  npuOpsForm form; /* of |b|: NPU_OPS_PLAIN or NPU_OPS_TRANSPOSED */
  uint32_t n, k;
  uint32_t batch; /* 0 counts as 1 */
  npuDevPtr b;
  npuDevPtr packed; /* as many bytes as npuOpsGemmGetPackedBytes tells */
  uint64_t ldb;
  uint64_t batch_stride_b;      /* elements */
  uint64_t batch_stride_packed; /* elements; 0: one behind the other */
} npuOpsGemmPackInfo;

/* Bytes of the packed form of info->batch matrices, k (n rounded up to 16) elements each. Addresses in |info| are not looked at.
 *
 * Threads: any. Blocks: no. Errors: as npuOpsCheck. Since: 0.1 */
NPU_API npuResult npuOpsGemmGetPackedBytes(const npuOpsGemmPackInfo *info, uint64_t *out_bytes);

/* Submits the re-tiling.
 *
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.1
 */
NPU_API npuResult npuOpsGemmPackB(npuOps ops, npuQueue queue, const npuOpsGemmPackInfo *info,
                                  uint64_t *out_value);

/* Where the vectors of a tensor [batch, head, token] lie; a vector itself is dense. */
typedef struct npuOpsStrides {
  uint64_t batch, head, token; /* elements */
} npuOpsStrides;

/* O = softmax(scale Q K^T + mask) V for each head. Q and O have q_len tokens, K and V kv_len; query i stands at position kv_len - q_len + i, so that a KV cache needs no further
 * argument. heads is a multiple of kv_heads: heads h of one group share K and V. A query that sees no key gives zeros. O may be Q.
 * Limits: head_dim up to 256. In release 0.1 the struct ended with |o_strides|; the members behind it are taken as 0 from callers of that time. */
typedef struct npuOpsAttentionInfo {
  uint32_t struct_size;
  npuDataType type; /* of all four */
  uint32_t batch, heads, kv_heads, q_len, kv_len, head_dim;
  uint32_t causal; /* 1: a query sees keys up to its own position; 0: all */
  float scale;     /* mostly 1 / sqrt(head_dim) */
  npuDevPtr q, k, v, o;
  npuOpsStrides q_strides, k_strides, v_strides, o_strides; /* each must be set */
  /* since 0.2 */
  uint32_t
      window; /* with causal: a query sees the last |window| keys up to its own position; 0: all of them */
  uint32_t reserved; /* 0 */
  npuDevPtr
      lse; /* fp32 [batch, heads, q_len], written: ln of the sum of e^score, -inf where no key is seen; what the gradient needs. 0: not wanted */
} npuOpsAttentionInfo;

/* Submits an attention.
 *
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.1
 */
NPU_API npuResult npuOpsAttention(npuOps ops, npuQueue queue, const npuOpsAttentionInfo *info,
                                  uint64_t *out_value);

/* Y = softmax(scale X) along each row. A row of nothing but -inf gives NaN. In place. Limit: 131072 columns. */
typedef struct npuOpsSoftmaxInfo {
  uint32_t struct_size;
  npuDataType type;
  uint32_t rows, cols;
  npuDevPtr x, y;
  uint64_t ldx, ldy;
  float scale;
  uint32_t reserved; /* 0 */
} npuOpsSoftmaxInfo;

/* Submits a softmax.
 *
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.1
 */
NPU_API npuResult npuOpsSoftmax(npuOps ops, npuQueue queue, const npuOpsSoftmaxInfo *info,
                                uint64_t *out_value);

/* One struct for both normalisations of rows. RMS: y = x / sqrt(mean(x^2) + eps) * weight. Layer: y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias, with the variance of the
 * population. In place. Limit: 32768 columns. */
typedef struct npuOpsNormInfo {
  uint32_t struct_size;
  npuDataType type; /* of everything */
  uint32_t rows, cols;
  npuDevPtr x, y;
  npuDevPtr weight; /* [cols]; 0: ones */
  npuDevPtr bias;   /* [cols]; 0: zeros; must be 0 for RMS */
  uint64_t ldx, ldy;
  float eps;
  uint32_t reserved; /* 0 */
} npuOpsNormInfo;

/* Submit a normalisation of rows: by their root mean square, or by mean and variance.
 *
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.1
 */
NPU_API npuResult npuOpsRmsNorm(npuOps ops, npuQueue queue, const npuOpsNormInfo *info,
                                uint64_t *out_value);
NPU_API npuResult npuOpsLayerNorm(npuOps ops, npuQueue queue, const npuOpsNormInfo *info,
                                  uint64_t *out_value);

/* Rotary position embedding: the first |width| columns of each head of X [token, head, head_dim] are rotated in pairs, the rest is copied. Angles come as tables of their cosines
 * and sines, fp32 [table_rows, width / 2]; token t takes row positions[t], or start + t without a list. In place. A position outside the table stops the queue with
 * NPU_ERROR_KERNEL_BOUNDS. Limits: head_dim up to 1024, heads up to 1024. */
typedef struct npuOpsRopeInfo {
  uint32_t struct_size;
  npuDataType type; /* of X and Y */
  uint32_t tokens, heads, head_dim;
  uint32_t width; /* even; 0: head_dim */
  uint32_t
      half; /* 1: pairs (i, i + width / 2), as most published checkpoints have them; 0: pairs (2i, 2i + 1) */
  uint32_t start;
  npuDevPtr x, y;
  uint64_t x_token_stride, x_head_stride, y_token_stride, y_head_stride;
  npuDevPtr cos_table, sin_table;
  npuDevPtr positions; /* int32 [tokens]; 0: none */
  uint32_t table_rows;
  uint32_t
      backward; /* since 0.2, 0 before: 1 turns the other way, which makes the gradient by X of that by Y */
} npuOpsRopeInfo;

/* Submits a rotation.
 *
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.1
 */
NPU_API npuResult npuOpsRope(npuOps ops, npuQueue queue, const npuOpsRopeInfo *info,
                             uint64_t *out_value);

/* Writes the tables on the host: angle = position * base^(-2 i / width), computed in double, for rows 0 .. rows - 1. cos_table and sin_table have rows * width / 2 elements.
 *
 * Threads: any. Blocks: no. Errors: NPU_ERROR_INVALID_ARGUMENT. Since: 0.1 */
NPU_API npuResult npuOpsRopeTable(double base, uint32_t width, uint32_t rows, float *cos_table,
                                  float *sin_table);

/* Functions of npuOpsUnary. */
typedef int32_t npuOpsUnaryFunction;
enum {
  NPU_OPS_NEG = 0,
  NPU_OPS_ABS = 1,
  NPU_OPS_RELU = 2,
  NPU_OPS_EXP = 3,
  NPU_OPS_LOG = 4,
  NPU_OPS_SQRT = 5,
  NPU_OPS_RSQRT = 6,
  NPU_OPS_RECIPROCAL = 7,
  NPU_OPS_TANH = 8,
  NPU_OPS_SIGMOID = 9,
  NPU_OPS_ERF = 10,
  NPU_OPS_GELU = 11, /* tanh form */
  NPU_OPS_GELU_ERF = 12,
  NPU_OPS_SILU = 13,
  NPU_OPS_SIN = 14,
  NPU_OPS_COS = 15
};

/* Functions of npuOpsBinary. */
typedef int32_t npuOpsBinaryFunction;
enum {
  NPU_OPS_ADD = 0,
  NPU_OPS_SUB = 1,
  NPU_OPS_MUL = 2,
  NPU_OPS_DIV = 3,
  NPU_OPS_MAX = 4,
  NPU_OPS_MIN = 5
};

/* How the second operand of npuOpsBinary is spread over [rows, cols]. */
typedef int32_t npuOpsSpread;
enum {
  NPU_OPS_FULL = 0,  /* [rows, cols] */
  NPU_OPS_ROW = 1,   /* [cols], the same for each row */
  NPU_OPS_COL = 2,   /* [rows], the same for each column; ldb is the distance of its elements */
  NPU_OPS_SCALAR = 3 /* |value|; b must be 0 */
};

/* Y = f(X), or Y = f(X, B), or Y = silu(X) * B, or Y = scale X in another type; element by element. In place, on X or on a full B (not for a conversion).
 * npuOpsConvert takes from 0.2 on each type that npuOpsGemm reads for X, and each that it writes for Y (NPU_INT32 aside): the value of each element as fp32, times |scale| where that is not 0, rounded
 * once into Y as scale_rule, overflow and rounding tell, where element [i, j] has the number first + i cols + j (docs/reference/isa.md: LDC, STC). NaN and infinities of X: FP8 keeps NaN; an OCP MX block that holds one becomes NaN as a whole.
 * In release 0.1 the struct ended with |ldy|; the members behind it are taken as 0 from callers of that time, and are 0 for the other functions. */
typedef struct npuOpsElementwiseInfo {
  uint32_t struct_size;
  npuDataType type;     /* of X and B */
  npuDataType out_type; /* of Y: must be |type|, except for npuOpsConvert */
  int32_t function;     /* npuOpsUnaryFunction or npuOpsBinaryFunction; 0 for the others */
  npuOpsSpread spread;  /* npuOpsBinary; 0 for the others */
  uint32_t rows, cols;
  float value;       /* of NPU_OPS_SCALAR */
  npuDevPtr x, b, y; /* b must be 0 where there is no second operand */
  uint64_t ldx, ldb, ldy;
  /* since 0.2, of npuOpsConvert */
  float scale;                /* 0 counts as 1 */
  npuOpsScaleRule scale_rule; /* of a Y in OCP MX blocks; else 0 */
  uint32_t overflow;          /* of a Y in FP8: as in npuOpsGemmInfo; else 0 */
  uint32_t reserved;          /* 0 */
  npuOpsRounding rounding;    /* of Y */
} npuOpsElementwiseInfo;

/* Submit a function of elements: of one operand, of two, silu(X) * B, or a change of type.
 *
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.1
 */
NPU_API npuResult npuOpsUnary(npuOps ops, npuQueue queue, const npuOpsElementwiseInfo *info,
                              uint64_t *out_value);
NPU_API npuResult npuOpsBinary(npuOps ops, npuQueue queue, const npuOpsElementwiseInfo *info,
                               uint64_t *out_value);
NPU_API npuResult npuOpsSiluMul(npuOps ops, npuQueue queue, const npuOpsElementwiseInfo *info,
                                uint64_t *out_value);
NPU_API npuResult npuOpsConvert(npuOps ops, npuQueue queue, const npuOpsElementwiseInfo *info,
                                uint64_t *out_value);

/* Gather: Y[i] = X[indices[i]] (embedding look-up), X is the table. Scatter: Y[indices[i]] = X[i] (append to a KV cache), Y is the table; with equal indices the row of one of them
 * stays. An index outside the table stops the queue with NPU_ERROR_KERNEL_BOUNDS. */
typedef struct npuOpsRowsInfo {
  uint32_t struct_size;
  npuDataType type;     /* of X */
  npuDataType out_type; /* of Y: converted when it differs */
  uint32_t count;       /* of indices */
  uint32_t cols;
  uint32_t table_rows;
  npuDevPtr x, y;
  npuDevPtr indices; /* int32 [count] */
  uint64_t ldx, ldy;
} npuOpsRowsInfo;

/* Submit a movement of rows: from the places of a table, or to them.
 *
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.1
 */
NPU_API npuResult npuOpsGather(npuOps ops, npuQueue queue, const npuOpsRowsInfo *info,
                               uint64_t *out_value);
NPU_API npuResult npuOpsScatterRows(npuOps ops, npuQueue queue, const npuOpsRowsInfo *info,
                                    uint64_t *out_value);

/* Y[i] = the column of the largest element of row i of X, the first one of equals; NaNs are passed over. Limit: 229376 columns. */
typedef struct npuOpsArgmaxInfo {
  uint32_t struct_size;
  npuDataType type; /* of X */
  uint32_t rows, cols;
  npuDevPtr x;
  npuDevPtr y; /* int32 [rows] */
  uint64_t ldx;
} npuOpsArgmaxInfo;

/* Submits an argmax.
 *
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.1
 */
NPU_API npuResult npuOpsArgmax(npuOps ops, npuQueue queue, const npuOpsArgmaxInfo *info,
                               uint64_t *out_value);

NPU_EXTERN_C_END

#endif
