/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators of training: gradients of the operators of npu_ops.h, losses, dropout, optimiser. Part of libnpuops. The rules of npu_types.h and npu_ops.h hold here too.
 * Since 0.2.
 *
 * Commands   An operator is described by a kind and an info struct, as those of npu_tensor.h: npuOpsSubmit launches it, npuOpsCheck tells whether it would be accepted, npuOpsGetCommand gives the launch
 *            where the operator is one launch (below: "two launches" where it is not). The struct is the caller's and is copied before the call returns. Threads, blocking, errors: "Common" of npu_ops.h.
 * Names      dX is the gradient of the loss by X. "X" of a backward operator is the operand of the forward one.
 * Types      NPU_FLOAT32 and NPU_BFLOAT16 where a struct has |type|. Gradients of parameters (weights, biases, tables) are fp32 always: they are sums over many rows. Parameters may be either (NPU_OPS_ADAMW).
 * accumulate 0: the result is written. 1: it is added to what memory holds, at the begin of the sum, so that a batch in parts gives what the whole would. The caller clears memory with npuQueueFill.
 * Determinism  No atomics: each sum has one order, and a result is a function of the operands alone. Sums over rows are one fp32 chain in ascending rows, sums along a row are trees (docs/numerics.md).
 * NaN        An operand that is NaN or infinite gives what IEEE 754 gives along the formula: it reaches the elements whose formula reads it, no others, unless the text says more.
 * Products   Gradients of D = A B are products too: dA = dD B^T, dB = A^T dD, by npuOpsGemm with NPU_OPS_TRANSPOSED for b_form or a_form. beta = 1 with c = d accumulates.
 * Rotations  The gradient of npuOpsRope is npuOpsRope with |backward|.
 */
#ifndef NPU_NPU_OPS_TRAIN_H
#define NPU_NPU_OPS_TRAIN_H

#include <npu/npu_ops.h>
#include <npu/npu_tensor.h>
#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Kinds of operators of training; they go on behind those of npu_tensor.h. The struct of each is named. */
enum {
  NPU_OPS_COLUMN_SUM = 64,          /* npuOpsColumnSumInfo */
  NPU_OPS_CROSS_ENTROPY = 65,       /* npuOpsCrossEntropyInfo */
  NPU_OPS_SOFTMAX_BACKWARD = 66,    /* npuOpsSoftmaxBackwardInfo */
  NPU_OPS_RMS_NORM_BACKWARD = 67,   /* npuOpsNormBackwardInfo */
  NPU_OPS_LAYER_NORM_BACKWARD = 68, /* npuOpsNormBackwardInfo */
  NPU_OPS_UNARY_BACKWARD = 69,      /* npuOpsUnaryBackwardInfo */
  NPU_OPS_SILU_MUL_BACKWARD = 70,   /* npuOpsSiluMulBackwardInfo */
  NPU_OPS_GATHER_BACKWARD = 71,     /* npuOpsGatherBackwardInfo */
  NPU_OPS_ADAMW = 72,               /* npuOpsAdamWInfo */
  NPU_OPS_ATTENTION_BACKWARD = 73,  /* npuOpsAttentionBackwardInfo */
  NPU_OPS_DROPOUT = 74,             /* npuOpsDropoutInfo */
  NPU_OPS_SUM_SQUARES = 75,         /* npuOpsSumSquaresInfo */
  NPU_OPS_TRAIN_KIND_END = 76
};

/* Y[j] = sum over i of X[i, j], one chain in ascending i: the gradient of a bias. Without rows Y is zeros, or what it was with accumulate. */
typedef struct npuOpsColumnSumInfo {
  uint32_t struct_size;
  npuDataType type; /* of X */
  uint32_t rows, cols;
  npuDevPtr x; /* [rows, cols] */
  npuDevPtr y; /* fp32 [cols] */
  uint64_t ldx;
  uint32_t accumulate; /* 0 or 1 */
  uint32_t reserved;   /* 0 */
} npuOpsColumnSumInfo;

/* Cross-entropy of rows of logits X with the class that each row should have, and its gradient, in one pass over X:
 *   loss[i] = ln(sum over j of e^X[i, j]) - X[i, targets[i]]      dX[i, j] = grad_scale (softmax(X[i])[j] - (j == targets[i] ? 1 : 0))
 * grad_scale is 1 / rows where the loss is their mean. A row with a negative target takes no part: its loss and its gradients are 0, whatever its logits are. A target of |cols| or more stops the queue
 * with NPU_ERROR_KERNEL_BOUNDS. A logit of -inf is masked; a row of nothing else, or with a NaN or +inf, gives NaN in that row. The largest logit is subtracted before e^x, as softmax does.
 * Limit: 131072 columns. */
typedef struct npuOpsCrossEntropyInfo {
  uint32_t struct_size;
  npuDataType type; /* of X and dX */
  uint32_t rows, cols;
  npuDevPtr x;       /* [rows, cols] */
  npuDevPtr targets; /* int32 [rows] */
  npuDevPtr loss;    /* fp32 [rows]; 0: not wanted */
  npuDevPtr dx;      /* [rows, cols], may be X; 0: not wanted */
  uint64_t ldx, lddx;
  float grad_scale;
  uint32_t reserved; /* 0 */
} npuOpsCrossEntropyInfo;

/* Gradient of Y = softmax(scale X), from Y: dX = scale Y (dY - sum over the row of Y dY). dX may be Y or dY. Limit: 65536 columns. */
typedef struct npuOpsSoftmaxBackwardInfo {
  uint32_t struct_size;
  npuDataType type; /* of all */
  uint32_t rows, cols;
  npuDevPtr y, dy, dx;
  uint64_t ldy, lddy, lddx;
  float scale;
  uint32_t reserved; /* 0 */
} npuOpsSoftmaxBackwardInfo;

/* Gradients of npuOpsRmsNorm and npuOpsLayerNorm (arxiv.org/abs/1910.07467, arxiv.org/abs/1607.06450), from X. With g = dY weight, N = (X - mean) r and r = 1 / sqrt(mean square or variance + eps):
 *   RMS: dX = r (g - N mean(g N))    Layer: dX = r (g - mean(g) - N mean(g N))    dweight = column sums of dY N    dbias = those of dY
 * dweight and dbias take two launches and |stats|: mean (0 for RMS) and r of each row. dX may be dY where neither is wanted, or X where neither is. Limit: 32768 columns. */
typedef struct npuOpsNormBackwardInfo {
  uint32_t struct_size;
  npuDataType type; /* of X, dY, dX and weight */
  uint32_t rows, cols;
  npuDevPtr x, dy, dx;
  npuDevPtr weight;  /* [cols]; 0: ones */
  npuDevPtr dweight; /* fp32 [cols]; 0: not wanted */
  npuDevPtr dbias;   /* fp32 [cols]; 0: not wanted; must be 0 for RMS */
  npuDevPtr stats;   /* fp32 [rows, 2], written; 0 where neither dweight nor dbias is wanted */
  uint64_t ldx, lddy, lddx;
  float eps;           /* that of the forward operator */
  uint32_t accumulate; /* 0 or 1: of dweight and dbias */
} npuOpsNormBackwardInfo;

/* dX = dY f'(X) with f NPU_OPS_RELU (f'(0) = 0), NPU_OPS_TANH, NPU_OPS_SIGMOID, NPU_OPS_GELU, NPU_OPS_GELU_ERF or NPU_OPS_SILU. f' is within 1e-6 of its value, and its limit where X is infinite.
 * dX may be X or dY. */
typedef struct npuOpsUnaryBackwardInfo {
  uint32_t struct_size;
  npuDataType type; /* of all */
  int32_t function; /* npuOpsUnaryFunction */
  uint32_t rows, cols;
  uint32_t reserved; /* 0 */
  npuDevPtr x, dy, dx;
  uint64_t ldx, lddy, lddx;
} npuOpsUnaryBackwardInfo;

/* Gradients of Y = silu(X) B (npuOpsSiluMul): dX = dY B silu'(X), dB = dY silu(X). dX and dB may be X, B or dY, and differ from each other. */
typedef struct npuOpsSiluMulBackwardInfo {
  uint32_t struct_size;
  npuDataType type; /* of all */
  uint32_t rows, cols;
  npuDevPtr x, b, dy, dx, db;
  uint64_t ldx, ldb, lddy, lddx, lddb;
} npuOpsSiluMulBackwardInfo;

/* Gradient of npuOpsGather (embedding): dX[indices[i]] += dY[i] for i ascending, in fp32. Always adds: rows of dX that no index names are neither read nor written. An index outside the table stops the
 * queue with NPU_ERROR_KERNEL_BOUNDS; rows before it may have been added. Work-groups share the columns, so that one row after the other is added: long lists take long. */
typedef struct npuOpsGatherBackwardInfo {
  uint32_t struct_size;
  npuDataType type; /* of dY */
  uint32_t count;   /* of indices */
  uint32_t cols;
  uint32_t table_rows;
  uint32_t reserved;   /* 0 */
  npuDevPtr dy;        /* [count, cols] */
  npuDevPtr dx;        /* fp32 [table_rows, cols] */
  npuDevPtr indices;   /* int32 [count] */
  uint64_t lddy, lddx; /* elements */
} npuOpsGatherBackwardInfo;

/* One step of AdamW (arxiv.org/abs/1711.05101, algorithm 2, with the learning rate in the decay as PyTorch has it) for |count| parameters P that lie side by side, in place:
 *   g = gscale G    M = beta1 M + (1 - beta1) g    V = beta2 V + (1 - beta2) g^2
 *   P = (1 - lr weight_decay) P - lr / (1 - beta1^step) M / (sqrt(V) / sqrt(1 - beta2^step) + eps)
 * gscale is the fp32 number at |grad_scale|, on the device, so that clipping by the norm needs no way through the host. copy: P rounded to bf16, for products with it.
 * P of bf16 is widened, updated in fp32 and rounded once. To nearest, a step of less than half a unit of P (2^-9 of it and less) changes nothing, however often it comes: use NPU_OPS_ROUND_STOCHASTIC,
 * with another seed or |first| in each step. Element i has the number first + i. |rounding| is that of P where it is bf16, else that of the copy. */
typedef struct npuOpsAdamWInfo {
  uint32_t struct_size;
  uint32_t count;
  npuDevPtr p;          /* [count] of |type| */
  npuDevPtr g, m, v;    /* fp32 [count]; G is only read */
  npuDevPtr copy;       /* bf16 [count]; 0: none; must be 0 where P is bf16 */
  npuDevPtr grad_scale; /* fp32 [1]; 0: 1 */
  uint64_t step;        /* from 1 */
  float lr;             /* finite */
  float beta1, beta2;   /* from 0 to below 1 */
  float eps;            /* 0 or more */
  float weight_decay;   /* finite */
  npuDataType type;     /* of P: NPU_FLOAT32 or NPU_BFLOAT16 */
  npuOpsRounding rounding;
} npuOpsAdamWInfo;

/* Gradients of npuOpsAttention, from its operands, its result O and its |lse| (FlashAttention: arxiv.org/abs/2205.14135, algorithm 4). With S = scale Q K^T masked, P = e^(S - lse):
 *   dV = P^T dO    dS = P (dO V^T - delta)    dQ = scale dS K    dK = scale dS^T Q    delta[i] = sum of dO[i] O[i]
 * P is made anew, block by block. dK and dV of a K/V head are sums over the query heads that share it, in ascending order of heads and queries. For NPU_BFLOAT16, P and dS are rounded before products
 * with them. Queries that see no key have dQ = 0, and keys that no query sees have dK = dV = 0. Two launches. A NaN or an infinity in a row of K, V, Q or dO may also reach gradients of queries and keys
 * near it that the mask hides from each other. Limit: head_dim up to 256. */
typedef struct npuOpsAttentionBackwardInfo {
  uint32_t struct_size;
  npuDataType type; /* of all but lse and delta */
  uint32_t batch, heads, kv_heads, q_len, kv_len, head_dim;
  uint32_t causal; /* these three as in the forward operator */
  uint32_t window;
  float scale;
  uint32_t reserved; /* 0 */
  npuDevPtr q, k, v, o, d_o;
  npuDevPtr lse;   /* fp32 [batch, heads, q_len], from the forward operator */
  npuDevPtr delta; /* fp32 [batch, heads, q_len], written */
  npuDevPtr dq, dk, dv;
  npuOpsStrides q_strides, k_strides, v_strides, o_strides, do_strides; /* each must be set */
  npuOpsStrides dq_strides, dk_strides, dv_strides;
} npuOpsAttentionBackwardInfo;

/* Y = X / (1 - p) where an element stays, 0 times X where it is dropped, which happens with probability p. Whether element [i, j] stays is a function of seed and first + i cols + j alone: the word of
 * Philox4x32-10 (Salmon et al., SC11) for that number, as stochastic rounding takes it (docs/numerics.md). So the mask is stored nowhere: the backward operator is this one on dY with the same seed and
 * first. Elements that lie in different tensors need different numbers: a |first| behind those of the tensor before, or another seed. In place. */
typedef struct npuOpsDropoutInfo {
  uint32_t struct_size;
  npuDataType type; /* of X and Y */
  uint32_t rows, cols;
  npuDevPtr x, y;
  uint64_t ldx, ldy;
  uint64_t seed;
  uint64_t first;    /* number of element [0, 0]; modulo 2^64 */
  float p;           /* from 0 to below 1 */
  uint32_t reserved; /* 0 */
} npuOpsDropoutInfo;

#define NPU_OPS_SUM_SQUARES_PART 32768

/* Y[i] = sum of the squares of the elements i * NPU_OPS_SUM_SQUARES_PART to (i + 1) * NPU_OPS_SUM_SQUARES_PART - 1 of X, a tree each. For the norm of all gradients the parts of all tensors are written one
 * behind the other, and NPU_OPS_REDUCE_SUM of npu_tensor.h adds them; with NPU_OPS_RSQRT, NPU_OPS_MUL by the largest norm and NPU_OPS_MIN with 1 that is the |grad_scale| of NPU_OPS_ADAMW. */
typedef struct npuOpsSumSquaresInfo {
  uint32_t struct_size;
  npuDataType type; /* of X */
  uint32_t count;
  uint32_t reserved; /* 0 */
  npuDevPtr x;       /* [count] */
  npuDevPtr y;       /* fp32 [count / NPU_OPS_SUM_SQUARES_PART, rounded up] */
} npuOpsSumSquaresInfo;

NPU_EXTERN_C_END

#endif
