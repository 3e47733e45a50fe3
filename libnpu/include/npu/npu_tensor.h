/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators on tensors of four dimensions with any strides: what a framework's graph needs beside the matrices of npu_ops.h, one launch each. The rules of npu_types.h and
 * npu_ops.h hold here too. Part of libnpuops.
 *
 * Tensors    sizes[0] is the innermost dimension. Strides are in bytes from one index to the next, multiples of the element's size; a dimension of size 1 may have any stride. Where
 *            an operand "repeats", each of its sizes divides the size of the result, and the operand is read again from its begin. Results never overlap themselves.
 *            A tensor with a size of 0 is no error: a command that does nothing is made.
 * Blocks     A type in blocks (NPU_Q8_0, ...) counts elements in sizes[0], a multiple of the block; strides[0] is the bytes of one block, the others are multiples of 2.
 * Tiles      Weights of NPU_Q8_0 and NPU_Q4_0 may lie in tiles of 16 rows, which products of integers read faster: see npuOpsTileWeights. Then |tiled| is 1, sizes[1] a multiple of 16, strides[1] the
 *            bytes of a row (the rows of a matrix without gaps), strides[2] and strides[3] and the address multiples of 32. Where such a tensor is taken the operator says so.
 * Arithmetic fp32; each result is rounded once, to nearest even, to its type.
 * Commands   An operator is described by a kind and an info struct. npuOpsSubmit launches it; npuOpsGetCommand gives the launch, for npuSubmitBatch, npuGraphAddKernel or
 *            npuGraphExecUpdateNode; npuOpsCheck tells on the host whether it would be accepted. All three take the kinds of npu_ops.h as well.
 */
#ifndef NPU_NPU_TENSOR_H
#define NPU_NPU_TENSOR_H

#include <npu/npu_ops.h>
#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Kinds of operators on tensors; they go on where npuOpsKind of npu_ops.h ends. The struct behind each is named. */
enum {
  NPU_OPS_TENSOR_MAP = 32,       /* npuOpsMapInfo */
  NPU_OPS_TENSOR_COMBINE = 33,   /* npuOpsCombineInfo */
  NPU_OPS_TENSOR_GATE = 34,      /* npuOpsGateInfo */
  NPU_OPS_TENSOR_REDUCE = 35,    /* npuOpsReduceInfo */
  NPU_OPS_TENSOR_SORT = 36,      /* npuOpsSortInfo */
  NPU_OPS_TENSOR_NORM = 37,      /* npuOpsTensorNormInfo */
  NPU_OPS_TENSOR_SOFTMAX = 38,   /* npuOpsTensorSoftmaxInfo */
  NPU_OPS_TENSOR_ROPE = 39,      /* npuOpsTensorRopeInfo */
  NPU_OPS_TENSOR_GATHER = 40,    /* npuOpsTensorGatherInfo */
  NPU_OPS_TENSOR_SCATTER = 41,   /* npuOpsTensorScatterInfo */
  NPU_OPS_TENSOR_MATMUL = 42,    /* npuOpsMatmulInfo */
  NPU_OPS_TENSOR_ATTENTION = 43, /* npuOpsTensorAttentionInfo */
  NPU_OPS_TENSOR_PRODUCTS = 44,  /* npuOpsProductsInfo */
  NPU_OPS_TENSOR_KIND_END = 45
};

/* Where a tensor lies, and what it holds. */
typedef struct npuOpsTensor {
  npuDevPtr data; /* 0: an optional operand that is absent */
  npuDataType type;
  uint32_t tiled; /* 1: in tiles of 16 rows (npuOpsTileWeights); 0: by rows */
  uint64_t sizes[4];
  uint64_t strides[4]; /* bytes */
} npuOpsTensor;

/* Functions of NPU_OPS_TENSOR_MAP: those of npuOpsUnaryFunction, and from here on. a, b: of npuOpsMapInfo. */
enum {
  NPU_OPS_MAP_COPY = 64,   /* x, in another type where y has one; bits where the types are equal */
  NPU_OPS_MAP_SCALE = 65,  /* a x + b */
  NPU_OPS_MAP_CLAMP = 66,  /* between a and b */
  NPU_OPS_MAP_SQUARE = 67, /* x x */
  NPU_OPS_MAP_GELU_QUICK = 68, /* x sigmoid(1.702 x) */
  NPU_OPS_MAP_LEAKY_RELU = 69, /* x > 0 ? x : a x */
  NPU_OPS_MAP_SIGN = 70,       /* -1, 0 or 1 */
  NPU_OPS_MAP_STEP = 71,       /* x > 0 ? 1 : 0 */
  NPU_OPS_MAP_ELU = 72,        /* x > 0 ? x : e^x - 1 */
  NPU_OPS_MAP_HARDSWISH = 73,  /* x min(1, max(0, (x + 3) / 6)) */
  NPU_OPS_MAP_HARDSIGMOID = 74,
  NPU_OPS_MAP_FLOOR = 75,
  NPU_OPS_MAP_CEIL = 76,
  NPU_OPS_MAP_ROUND = 77, /* halves away from zero */
  NPU_OPS_MAP_TRUNC = 78,
  NPU_OPS_MAP_SOFTPLUS = 79, /* ln(1 + e^x) */
  NPU_OPS_MAP_EXPM1 = 80,    /* e^x - 1 */
  NPU_OPS_MAP_END = 81
};

/* Y = f(X), element by element; X repeats. Types: fp32, bf16 or fp16, the same for both. NPU_OPS_MAP_COPY goes from each of them to each, from every type but INT64 to itself, from blocks to fp32
 * and from each of them to NPU_Q8_0 and NPU_Q4_0 (strides that are whole blocks; docs/reference/isa.md: STC), and between INT32 and fp32: fp32 is cut towards zero and saturates, NaN gives 0. A NaN stays one. Error bounds: docs/numerics.md; ELU, SOFTPLUS and EXPM1 are within 6 ulp of fp32. In place where types and strides are equal. */
typedef struct npuOpsMapInfo {
  uint32_t struct_size;
  int32_t function;
  float a, b; /* 0 where the function does not name them */
  npuOpsTensor x, y;
} npuOpsMapInfo;

/* Y = f(X, B) with an npuOpsBinaryFunction; B repeats, X has the sizes of Y. Types: fp32, bf16 or fp16, the same for all; or b fp32, x and y bf16 or fp16, or y fp32 as well. In place on X, and on a B that
 * does not repeat, where types and strides are equal. */
typedef struct npuOpsCombineInfo {
  uint32_t struct_size;
  int32_t function;
  npuOpsTensor x, b, y;
} npuOpsCombineInfo;

/* Y = f(X) * B with f NPU_OPS_RELU, NPU_OPS_GELU, NPU_OPS_GELU_ERF, NPU_OPS_SILU or NPU_OPS_MAP_GELU_QUICK: SwiGLU and its relatives. All sizes are equal, all types are (fp32, bf16, fp16).
 * In place on X or B where strides are equal. */
typedef struct npuOpsGateInfo {
  uint32_t struct_size;
  int32_t function;
  npuOpsTensor x, b, y;
} npuOpsGateInfo;

/* Functions of NPU_OPS_TENSOR_REDUCE. */
enum {
  NPU_OPS_REDUCE_SUM = 0,
  NPU_OPS_REDUCE_MEAN = 1,
  NPU_OPS_REDUCE_ARGMAX =
      2 /* the first column of the largest element, as npuOpsArgmax; y is INT32 */
};

/* Y = a function of each row (innermost dimension) of X; y.sizes[0] is 1, the other sizes are those of X. x: fp32. Limit: 131072 columns. */
typedef struct npuOpsReduceInfo {
  uint32_t struct_size;
  int32_t function;
  npuOpsTensor x, y;
} npuOpsReduceInfo;

/* Y = for each row of X its columns in order of their elements, ascending or descending; equal elements in ascending order of columns. x: fp32, y: INT32, sizes equal. Limit: 4096 columns. */
typedef struct npuOpsSortInfo {
  uint32_t struct_size;
  uint32_t descending; /* 0 or 1 */
  npuOpsTensor x, y;
} npuOpsSortInfo;

/* Norms of rows. */
enum {
  NPU_OPS_NORM_RMS = 0,   /* x / sqrt(mean(x^2) + eps) */
  NPU_OPS_NORM_LAYER = 1, /* (x - mean(x)) / sqrt(var(x) + eps) */
  NPU_OPS_NORM_L2 = 2     /* x / max(sqrt(sum(x^2)), eps) */
};

/* Y = norm(X) for each row, then times W and plus B where they are given: their rows have the length of those of X and repeat in dimensions 1 to 3. fp32. Limits: 131072 columns, 49152 with W
 * or B. In place. */
typedef struct npuOpsTensorNormInfo {
  uint32_t struct_size;
  int32_t function;
  float eps;
  uint32_t reserved; /* 0 */
  npuOpsTensor x, y, weight, bias;
} npuOpsTensorNormInfo;

/* Y = softmax(scale X + slope(h) mask) for each row; h is the index in dimension 2. mask: fp32 or fp16, sizes[0] as X, at least as many rows; it repeats in dimensions 2 and 3. slope is 1
 * when max_bias is 0, else ALiBi's with that largest bias over sizes[2] heads. sinks: fp32 [sizes[2]], one more element of each row that is summed and not written. fp32. In place.
 * Limit: 131072 columns. */
typedef struct npuOpsTensorSoftmaxInfo {
  uint32_t struct_size;
  float scale;
  float max_bias;
  uint32_t reserved; /* 0 */
  npuOpsTensor x, y, mask, sinks;
} npuOpsTensorSoftmaxInfo;

/* Positions of NPU_OPS_TENSOR_ROPE: one for each token, or four (say of time, height, width, and one more), of which each pair takes one. |sections| says how many pairs take which. */
enum {
  NPU_OPS_ROPE_ONE_AXIS = 0,
  NPU_OPS_ROPE_SECTIONS =
      1, /* sections[0] pairs take position 0, the next sections[1] pairs position 1, ..., and from the begin again while there are pairs */
  NPU_OPS_ROPE_INTERLEAVED =
      2, /* in the same runs, with a = i mod 3: pair i of a run takes position a where i < 3 sections[a], else position 3 */
  NPU_OPS_ROPE_RESTARTED =
      3 /* as SECTIONS; i counts from the begin of each section, and the formula has width / 2 for width */
};

/* Rotation of |width| elements of each row of X [head_dim, heads, tokens, batch], from element |offset| on, by position: pair i of token t turns by positions[t] freq_scale base^(-2 i / width) /
 * factors[i], with the mix of frequencies of YaRN (arxiv.org/abs/2309.00071) where ext_factor is not 0; cosine and sine are multiplied by attn_factor (and YaRN's own). The rest of the row is
 * copied. Limit: 1024 elements of a row. In place.
 * Keys that are turned with their queries: X2 and Y2 differ from X in the number of heads only, which is not larger. Of few tokens (fewer than heads of X), with at most 65536 elements and 1024
 * heads each, and ONE_AXIS. Y overlaps neither X2 nor Y2, nor, of more than one token, Y2 X. */
typedef struct npuOpsTensorRopeInfo {
  uint32_t struct_size;
  uint32_t width;    /* even */
  uint32_t half;     /* 1: pairs (i, i + width / 2); 0: pairs (2i, 2i + 1) */
  uint32_t backward; /* 1: turns the other way */
  float base, freq_scale, ext_factor, attn_factor, beta_fast, beta_slow;
  uint32_t context; /* tokens that the model was trained with; of YaRN */
  uint32_t offset;
  int32_t axes;         /* other than ONE_AXIS: half must be 1 */
  uint32_t sections[4]; /* pairs; 0 for ONE_AXIS */
  uint32_t reserved;    /* 0 */
  npuOpsTensor x, y;    /* fp32 or fp16, equal types */
  npuOpsTensor
      positions; /* INT32 [tokens]; other than ONE_AXIS: dense [4 tokens], all positions 0 first */
  npuOpsTensor factors; /* fp32 [at least width / 2], or absent */
  npuOpsTensor x2, y2;  /* a second tensor that is turned as X, or absent. Since 0.2 */
} npuOpsTensorRopeInfo;

/* Y[:, i, j, k] = X[:, indices[i, j, k], j, k]: rows of a table, decoded and converted. indices: INT32 [i, j, k, 1]. x: fp32, bf16, fp16, INT32 or blocks, y: fp32 (INT32 for INT32). X repeats in
 * dimensions 2 and 3. Elements of a row lie side by side, rows of X do not overlap and are a whole number of blocks apart. An index outside the table stops the queue with
 * NPU_ERROR_KERNEL_BOUNDS. */
typedef struct npuOpsTensorGatherInfo {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */
  npuOpsTensor x, indices, y;
} npuOpsTensorGatherInfo;

/* Y[:, indices[i, j, k], j, k] = X[:, i, j, k]: rows into a table. indices: INT32 or INT64, they repeat in dimensions 1 and 2. x: fp32, bf16, fp16; y: these, NPU_Q8_0 or NPU_Q4_0.
 * Elements of a row lie side by side; rows of Y are a whole number of blocks apart.
 * With equal indices each element is that of one of the rows. An index outside the table stops the queue with NPU_ERROR_KERNEL_BOUNDS. */
typedef struct npuOpsTensorScatterInfo {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */
  npuOpsTensor x, indices, y;
} npuOpsTensorScatterInfo;

/* Y[m, n, i, j] = sum over k of A[k, m, i / ri, j / rj] B[k, n, i, j]: A holds weights by rows; in dimensions 2 and 3 its sizes divide those of B, and each of its matrices serves so many
 * neighbours of B. a: fp32, bf16, fp16 or blocks; b: fp32, bf16 or fp16; y: fp32, strides[0] is 4. Blocks: strides[1] is a multiple of the block's bytes.
 * With ids (INT32 [used, tokens]): Y[m, s, t] = A[:, m, ids[s, t]] . B[:, s mod b.sizes[1], t], the product of each token with the experts that were chosen for it; rows of A have at most
 * 32768 elements. A number of no expert stops the queue with NPU_ERROR_KERNEL_BOUNDS.
 * integers: where a is Q8_0 or Q4_0, b is rounded to Q8_0 (scale = largest magnitude of 32 elements / 127, as fp16) and integers are multiplied: MMS with INTEGER in the instruction set. Each
 * element of b is then off by up to half of its scale (1/254 of the largest magnitude beside it) and 2^-11 of itself; a block of b with a magnitude above 127 * 65504 gives infinities or NaN. Each
 * element of y depends on its row and its vector alone, not on how many there are. Elsewhere integers changes nothing, nor with ids where tokens * used is more than the number of experts and a is
 * not tiled.
 * a may be tiled; then integers is 1. With ids a row has then at most 114688 elements instead of 32768. */
typedef struct npuOpsMatmulInfo {
  uint32_t struct_size;
  uint32_t integers; /* 1: the vectors may be rounded to Q8_0; 0: fp32. Since 0.2 */
  npuOpsTensor a, b, y, ids;
} npuOpsMatmulInfo;

/* Y[d, h, t, n] = softmax(softcap(scale Q K^T) + slope(h) mask) V. q: fp32 [d, tokens, heads, n]; k, v: [d, keys, kv_heads, n], fp32, bf16, fp16 or blocks, repeated over heads and n;
 * mask: fp16 [keys, at least tokens, ...] or absent, repeated in dimensions 2 and 3; sinks: fp32 [heads] or absent; y: fp32 [dv, heads, tokens, n]. softcap 0: none; else c tanh(x / c). */
typedef struct npuOpsTensorAttentionInfo {
  uint32_t struct_size;
  float scale, max_bias, softcap;
  npuOpsTensor q, k, v, mask, sinks, y;
} npuOpsTensorAttentionInfo;

#define NPU_OPS_PRODUCTS_MAX 3

/* What a transformer does around the products of a few vectors, in one launch. Bit for bit the same as the operators one by one:
 *   V = X; with norm_weight V = npuOpsTensorNormInfo's NPU_OPS_NORM_RMS of X with that weight, which goes to |normed| too;
 *   Y[i][m, n] = sum over k of A[i][k, m] V[k, n], as npuOpsMatmulInfo with |integers|, for each i < count; plus C[i][m, n] where that is given;
 *   gated = f(Y[0]) * Y[1] with an f of npuOpsGateInfo, where |gated| is given. Then count is 2, and a Y[i] that is absent is not kept.
 * x: fp32 [k, n], at most 16 vectors and 114688 elements, 49152 of a row with norm_weight; norm_weight: fp32 [k]; a: all of one type, fp32, bf16, fp16 or blocks, elements of a row side by side,
 * with |integers| all of them tiled or none; all others: fp32. Sizes of dimensions 2 and 3 are 1, and strides[0] is that of an element. Results overlap neither each other nor an operand; but Y[i] may lie where C[i] does.
 * Members that are not named by count, norm_weight or gated are zero. Since: 0.2 */
typedef struct npuOpsProductsInfo {
  uint32_t struct_size;
  uint32_t integers; /* as in npuOpsMatmulInfo */
  uint32_t count;    /* 1 to NPU_OPS_PRODUCTS_MAX */
  int32_t function;  /* of gated */
  float eps;         /* of the norm */
  uint32_t reserved; /* 0 */
  npuOpsTensor x, norm_weight, normed;
  npuOpsTensor a[NPU_OPS_PRODUCTS_MAX], c[NPU_OPS_PRODUCTS_MAX], y[NPU_OPS_PRODUCTS_MAX];
  npuOpsTensor gated;
} npuOpsProductsInfo;

/* Submits the operator of a kind.
 *
 * info       the struct of the kind
 * out_value  the operator's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those of npuOpsCheck and of the submission functions of npu_queue.h
 * Since:     0.2
 */
NPU_API npuResult npuOpsSubmit(npuOps ops, npuQueue queue, npuOpsKind kind, const void *info,
                               uint64_t *out_value);

#define NPU_OPS_TILE_ROWS 16

/* Brings the rows of a matrix of weights on the host into tiles of NPU_OPS_TILE_ROWS rows, or back. A tile is the blocks of 16 rows at one place of the row: first their 16 scales (fp16), then
 * their elements in words of 4 bytes, the first word of all 16 rows, then the second, and so on. Tiles of 16 rows follow one another as the blocks of a row do, and rows of tiles as rows do: 16 rows
 * have the bytes and the place of 16 rows by blocks. Nothing is rounded; there and back gives the same bytes.
 *
 * type       NPU_Q8_0 or NPU_Q4_0
 * rows, cols of the matrix, in elements: rows is a multiple of NPU_OPS_TILE_ROWS, cols one of 32. 0: nothing is done
 * src, dst   host memory of rows * cols / 32 blocks without gaps, of any alignment; the caller's. The same address, or memory that does not overlap
 *
 * Threads:   any, also on parts of one matrix.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT (another type or count, memory that is NULL or overlaps), NPU_ERROR_OVERFLOW (more bytes than 2^64),
 *            NPU_ERROR_OUT_OF_HOST_MEMORY (16 rows are kept aside meanwhile). dst is then as it was.
 * Since:     0.2
 */
NPU_API npuResult npuOpsTileWeights(npuDataType type, uint64_t rows, uint64_t cols, const void *src,
                                    void *dst);
NPU_API npuResult npuOpsUntileWeights(npuDataType type, uint64_t rows, uint64_t cols,
                                      const void *src, void *dst);

#define NPU_OPS_ARGS_MAX_BYTES 512

/* A launch of one operator. */
typedef struct npuOpsCommand {
  uint32_t struct_size;
  uint32_t args_bytes;
  npuKernel kernel; /* of the operators' module: valid until npuOpsDestroy */
  uint32_t grid_x, grid_y, grid_z;
  uint32_t reserved;
  uint64_t args[NPU_OPS_ARGS_MAX_BYTES / 8];
} npuOpsCommand;

/* The launch that npuOpsSubmit would submit. Nothing is submitted; the struct is the caller's.
 *
 * Threads:   any.   Blocks: no (the first time for each program: a look-up in the module).
 * Errors:    those of npuOpsCheck, NPU_ERROR_INVALID_HANDLE, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuOpsGetCommand(npuOps ops, npuOpsKind kind, const void *info,
                                   npuOpsCommand *inout_command);

NPU_EXTERN_C_END

#endif
