/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The tile instruction set: encoding, operand kinds, descriptors. Everything that is a number of an instruction comes from spec/isa.def.
 *
 * An instruction is 32 bytes, little-endian, always at a multiple of 32. Unused fields must be zero: a decoder refuses the program otherwise.
 *
 *   byte  0      opcode
 *         1      must be 0
 *         2-3    flags (NPU_F_*)
 *         4-7    tile descriptors: dst, a, b, c (0..63)
 *         8-11   wait0, 12-15 wait1  (NPU_WAIT_*)
 *         16-19  signal              (NPU_SIGNAL_*)
 *         20-23  immediate
 *         24-27  scalar registers r0..r3 (0..31; register 0 reads as zero, writes to it are lost)
 *         28-31  line id: index into the blob's line table, 0 = none
 *
 * wait0, wait1 and signal may stand on every engine instruction and on WAIT and SIG (WAIT takes waits only, SIG takes a signal only).
 */
#ifndef NPU_UAPI_ISA_H
#define NPU_UAPI_ISA_H

#include <linux/types.h>

#define NPU_ISA_MAJOR 1
#define NPU_ISA_MINOR 6 /* 1: PRINT and CHECK. 2: LDC, MMS, types in blocks. 3: STC, types of 8 bits, MX, how CVT rounds. 4: TLDW. 5: INTEGER. 6: TILED. A program is of the least minor that has all of its instructions. */

#define NPU_INSN_BYTES 32
#define NPU_SCALAR_REGS 32
#define NPU_TILE_DESCS 64
#define NPU_TILE_SEMS 64 /* semaphores a tile, each counts 0..65535 */
#define NPU_LOOP_DEPTH 8
#define NPU_ARGS_MAX_BYTES 1024
#define NPU_KERNEL_MAX_INSNS 65536
#define NPU_PANEL_COLS 16 /* columns of one panel of the PANEL layout */
#define NPU_TILED_ROWS 16 /* rows of one tile of weights: TILED */
#define NPU_TILED_ALIGN_BYTES 32 /* of the first one */
#define NPU_GROUP_MAX_TILES 16

/* flags */
#define NPU_F_ACC 0x0001
#define NPU_F_TB 0x0002
#define NPU_F_TRANS 0x0004
#define NPU_F_SCALE 0x0008
#define NPU_F_BIAS 0x0010
#define NPU_F_HALF 0x0020
#define NPU_F_ACT_SHIFT 6
#define NPU_F_ACT_MASK 0x01c0
#define NPU_F_BCAST_B_SHIFT 9
#define NPU_F_BCAST_B_MASK 0x0600
#define NPU_F_BCAST_C_SHIFT 11
#define NPU_F_BCAST_C_MASK 0x1800
#define NPU_F_CAUSAL 0x2000
#define NPU_F_WINDOW 0x4000
#define NPU_F_LENGTH 0x8000
/* CVT and STC, which take no broadcast, use its bits */
#define NPU_F_OVERFLOW 0x0200
#define NPU_F_RANDOM 0x0400
#define NPU_F_SCALE_RULE_SHIFT 11
#define NPU_F_SCALE_RULE_MASK 0x1800
/* MMS, which hides nothing, uses bits of MASK */
#define NPU_F_INTEGER 0x2000
#define NPU_F_TILED 0x4000

enum npu_act {
	NPU_ACT_NONE = 0,
	NPU_ACT_RELU = 1,
	NPU_ACT_GELU = 2, /* as GELU */
	NPU_ACT_SILU = 3,
	NPU_ACT_GELU_ERF = 4,
	NPU_ACT_SIGMOID = 5,
	NPU_ACT_TANH = 6,
	NPU_ACT_COUNT = 7,
};

enum npu_bcast {
	NPU_BCAST_FULL = 0,
	NPU_BCAST_ROW = 1, /* [1, n] */
	NPU_BCAST_COL = 2, /* [m, 1] */
	NPU_BCAST_SCALAR = 3, /* fp32 bits in a scalar register */
};

/*
 * The exponent of a block's scale, from m = the largest magnitude of its elements; e = floor(log2 m); E = exponent and M = value of the element type's
 * largest number, p = bits of its fraction. The result is limited to -127..127, and -127 for m = 0.
 */
enum npu_scale_rule {
	NPU_SCALE_RULE_FLOOR = 0, /* e - E, as the OCP specification says: numbers above M 2^(e - E) saturate */
	NPU_SCALE_RULE_CEIL = 1, /* the least exponent x with m <= M 2^x: nothing saturates */
	NPU_SCALE_RULE_EVEN = 2, /* as FLOOR, from m rounded to nearest even to p bits of fraction */
	NPU_SCALE_RULE_WIDE = 3, /* e - E + 1 */
	NPU_SCALE_RULE_COUNT = 4,
};

enum npu_cc {
	NPU_CC_EQ = 0,
	NPU_CC_NE = 1,
	NPU_CC_LT = 2, /* signed */
	NPU_CC_LE = 3, /* signed */
	NPU_CC_LTU = 4,
	NPU_CC_LEU = 5,
	NPU_CC_COUNT = 6,
};

enum npu_sreg {
	NPU_SREG_GROUP_X = 0, /* this work-group's place in the grid */
	NPU_SREG_GROUP_Y = 1,
	NPU_SREG_GROUP_Z = 2,
	NPU_SREG_GRID_X = 3, /* size of the grid in work-groups */
	NPU_SREG_GRID_Y = 4,
	NPU_SREG_GRID_Z = 5,
	NPU_SREG_TILE = 6, /* this tile's place in its work-group */
	NPU_SREG_TILES = 7, /* tiles a work-group */
	NPU_SREG_L1_BYTES = 8, /* sizes of this device */
	NPU_SREG_L2_BYTES = 9,
	NPU_SREG_ACC_BYTES = 10,
	NPU_SREG_DEVICE_TILES = 11, /* tiles of the whole device */
	NPU_SREG_COUNT = 12,
};

enum npu_dtype {
	NPU_DTYPE_F32 = 0,
	NPU_DTYPE_BF16 = 1,
	NPU_DTYPE_F16 = 2,
	NPU_DTYPE_I32 = 3,
	/* Elements in blocks that share scales, as GGUF files hold them: in HBM, ROW, for LDC and MMS (Q8_0, Q4_0 also STC) only. Since minor 2. */
	NPU_DTYPE_Q8_0 = 4, /* 32 elements: fp16 s, 32 x i8 q */
	NPU_DTYPE_Q4_0 = 5, /* 32 elements: fp16 s, 16 bytes with q of elements i (low half) and i + 16 */
	NPU_DTYPE_Q4_K = 6, /* 256 elements: fp16 s, fp16 t, 12 bytes with S and T (6 bits) of 8 parts, 128 bytes with q of elements i (low half) and i + 32 of each 64 */
	NPU_DTYPE_Q6_K = 7, /* 256 elements: 128 bytes with the low 4, 64 bytes with the high 2 bits of q, 16 x i8 S, fp16 s */
	/* Elements of one byte. Since minor 3. */
	NPU_DTYPE_E4M3 = 8, /* OCP FP8: sign, 4 exponent bits (bias 7), 3 of fraction; no infinity, 0x7f and 0xff are NaN */
	NPU_DTYPE_E5M2 = 9, /* OCP FP8: sign, 5 exponent bits (bias 15), 2 of fraction; infinity and NaN as in IEEE 754 */
	NPU_DTYPE_I8 = 10, /* two's complement */
	/*
	 * Blocks with a scale of one byte, x = 2^(byte - 127), 255: NaN. As Q8_0 and the others in HBM, ROW, for LDC, MMS and STC only. Since minor 3.
	 * First those of OCP MX, then shared microexponents. Packed: from the lowest bit of the first byte on.
	 */
	NPU_DTYPE_MXFP8_E4M3 = 11, /* OCP MX: 32 elements: x, 32 x E4M3 */
	NPU_DTYPE_MXFP8_E5M2 = 12, /* OCP MX: 32 elements: x, 32 x E5M2 */
	NPU_DTYPE_MXFP6_E2M3 = 13, /* OCP MX: 32 elements: x, 32 codes of 6 bits, packed: sign, 2 exponent bits (bias 1), 3 of fraction; no infinity, no NaN */
	NPU_DTYPE_MXFP6_E3M2 = 14, /* OCP MX: 32 elements: x, 32 codes of 6 bits, packed: sign, 3 exponent bits (bias 3), 2 of fraction; no infinity, no NaN */
	NPU_DTYPE_MXFP4 = 15, /* OCP MX: 32 elements: x, 16 bytes with elements i (low half) and i + 16: sign, 2 exponent bits (bias 1), 1 of fraction; no infinity, no NaN */
	NPU_DTYPE_MXINT8 = 16, /* OCP MX: 32 elements: x, 32 x i8 in units of 1/64 */
	NPU_DTYPE_MX9 = 17, /* 16 elements: x, a byte whose bit i halves elements 2i and 2i + 1, 16 codes of 8 bits: sign, 7 bits that count units of 2^-6 */
	NPU_DTYPE_MX6 = 18, /* the same with codes of 5 bits, packed: sign, 4 bits that count units of 2^-3 */
	NPU_DTYPE_MX4 = 19, /* the same with codes of 3 bits, packed: sign, 2 bits that count units of 2^-1 */
	NPU_DTYPE_COUNT = 20,
};

/*
 * X(name, elements of a block, its bytes, alignment of its bytes). Such a tile's base is a multiple of the alignment, its columns and its stride are
 * multiples of the block.
 */
#define NPU_BLOCK_TYPES(X)       \
	X(Q8_0, 32, 34, 2)       \
	X(Q4_0, 32, 18, 2)       \
	X(Q4_K, 256, 144, 2)     \
	X(Q6_K, 256, 210, 2)     \
	X(MXFP8_E4M3, 32, 33, 1) \
	X(MXFP8_E5M2, 32, 33, 1) \
	X(MXFP6_E2M3, 32, 25, 1) \
	X(MXFP6_E3M2, 32, 25, 1) \
	X(MXFP4, 32, 17, 1)      \
	X(MXINT8, 32, 33, 1)     \
	X(MX9, 16, 18, 1)        \
	X(MX6, 16, 12, 1)        \
	X(MX4, 16, 8, 1)

#define NPU_BLOCK_TYPE_BIT(name, elements, bytes, align) | 1u << NPU_DTYPE_##name

/* Whether elements of |dtype|, which exists, share scales. */
static inline int npu_dtype_in_blocks(__u32 dtype)
{
	return ((0u NPU_BLOCK_TYPES(NPU_BLOCK_TYPE_BIT)) >> dtype & 1) != 0;
}

enum npu_space {
	NPU_SPACE_HBM = 0, /* device virtual address */
	NPU_SPACE_L1 = 1, /* byte offset in the tile's scratchpad */
	NPU_SPACE_L2 = 2, /* byte offset in the cluster's scratchpad */
	NPU_SPACE_ACC = 3, /* byte offset in the tensor unit's accumulator; fp32 or i32, ROW only */
	NPU_SPACE_COUNT = 4,
};

/*
 * ROW:   element (i, j) lies at base + (i * stride + j) * size; stride >= cols. Of a type in blocks: in the block at
 *        base + (i * stride + j) / elements * bytes
 * PANEL: element (i, j) lies at base + ((j / 16) * stride * 16 + i * 16 + j % 16) * size; stride >= rows.
 *        The last panel is stored whole; its unused columns are written as zero and never read as operands.
 */
enum npu_layout {
	NPU_LAYOUT_ROW = 0,
	NPU_LAYOUT_PANEL = 1,
	NPU_LAYOUT_COUNT = 2,
};

/* imm of TSET: space 7:0, dtype 15:8, layout 23:16, 31:24 zero */
#define NPU_TDESC(space, dtype, layout) \
	((__u32)(space) | ((__u32)(dtype) << 8) | ((__u32)(layout) << 16))

/* A tile descriptor as the hardware keeps it. base must be a multiple of the element size; rows, cols <= 2^31 - 1. */
struct npu_tdesc {
	__u64 base; /* dva or byte offset, by space */
	__u32 rows;
	__u32 cols;
	__u32 stride; /* elements (ROW) or rows of a panel (PANEL) */
	__u8 space;
	__u8 dtype;
	__u8 layout;
	__u8 rsvd;
	__u64 rsvd2;
};

/* wait: semaphore 5:0 | VALID 8 | CONSUME 9 | threshold 31:16; the rest zero. Holds when value >= threshold; CONSUME subtracts it. */
#define NPU_WAIT_VALID 0x100u
#define NPU_WAIT_CONSUME 0x200u
#define NPU_WAIT(sem, threshold, consume) \
	((__u32)(sem) | NPU_WAIT_VALID | ((consume) ? NPU_WAIT_CONSUME : 0u) | ((__u32)(threshold) << 16))
#define NPU_WAIT_SEM(w) ((w) & 0x3fu)
#define NPU_WAIT_THRESHOLD(w) ((w) >> 16)
#define NPU_WAIT_RESERVED 0x0000fcc0u

/* signal: semaphore 5:0 | VALID 8 | PEER 9 | peer tile 13:10 | increment 31:16; the rest zero. PEER: that tile of the work-group, else this tile. */
#define NPU_SIGNAL_VALID 0x100u
#define NPU_SIGNAL_PEER 0x200u
#define NPU_SIGNAL(sem, inc) ((__u32)(sem) | NPU_SIGNAL_VALID | ((__u32)(inc) << 16))
#define NPU_SIGNAL_TO(sem, inc, peer) \
	(NPU_SIGNAL(sem, inc) | NPU_SIGNAL_PEER | ((__u32)(peer) << 10))
#define NPU_SIGNAL_SEM(s) ((s) & 0x3fu)
#define NPU_SIGNAL_PEER_TILE(s) (((s) >> 10) & 0xfu)
#define NPU_SIGNAL_INC(s) ((s) >> 16)
#define NPU_SIGNAL_RESERVED 0x0000c0c0u

struct npu_insn {
	__u8 op;
	__u8 rsvd;
	__u16 flags;
	__u8 dst;
	__u8 a;
	__u8 b;
	__u8 c;
	__u32 wait0;
	__u32 wait1;
	__u32 signal;
	__u32 imm;
	__u8 r[4];
	__u32 line;
};

enum npu_engine {
#define NPU_ENGINE(code, NAME, doc) NPU_ENGINE_##NAME = code,
#include "spec/isa.def"
	NPU_ENGINE_COUNT = 5,
};

enum npu_op {
#define NPU_INSN(code, NAME, mn, eng, d, a, b, c, r0, r1, r2, r3, imm, flags, doc) NPU_OP_##NAME = code,
#include "spec/isa.def"
};

/* Operand kinds of a row, as characters so that a table prints readably: see the head of isa.def. */
struct npu_insn_info {
	const char *mnemonic; /* NULL: no such opcode */
	__u8 engine;
	char tile[4]; /* 'N' or 'T' for dst, a, b, c */
	char reg[4]; /* 'N', 'W' or 'U' for r0..r3 */
	char imm; /* 'N' 'I' 'F' 'O' 'A' 'C' 'S' 'D' 'M' 'P' */
	__u16 flags; /* bits that may be set */
};

/* The minor version that the instruction came with. */
static inline __u32 npu_insn_minor(const struct npu_insn *insn)
{
	__u32 dtype = insn->imm >> 8 & 0xff;

	switch (insn->op) {
	case NPU_OP_TLDW:
		return 4;
	case NPU_OP_STC:
		return 3;
	case NPU_OP_CVT:
		return insn->flags != 0 || insn->r[0] != 0 || insn->r[1] != 0 || insn->r[2] != 0 ? 3 : 0;
	case NPU_OP_MMS:
		return (insn->flags & NPU_F_TILED) != 0 ? 6 : (insn->flags & NPU_F_INTEGER) != 0 ? 5 : 2;
	case NPU_OP_LDC:
		return 2;
	case NPU_OP_TSET:
		return dtype >= NPU_DTYPE_E4M3 ? 3 : dtype >= NPU_DTYPE_Q8_0 ? 2 : 0;
	case NPU_OP_PRINT:
	case NPU_OP_CHECK:
		return 1;
	default:
		return 0;
	}
}

/* Space, dtype and layout of a descriptor word exist, and go together. */
static inline int npu_tdesc_word_fits(__u32 imm)
{
	__u32 space = imm & 0xff, dtype = imm >> 8 & 0xff, layout = imm >> 16 & 0xff;

	if (space >= NPU_SPACE_COUNT || dtype >= NPU_DTYPE_COUNT || layout >= NPU_LAYOUT_COUNT || imm >> 24 != 0)
		return 0;
	return !npu_dtype_in_blocks(dtype) || (space == NPU_SPACE_HBM && layout == NPU_LAYOUT_ROW);
}

/* The table of all 256 opcodes; one copy for each file that asks for it. */
#ifdef NPU_ISA_WANT_TABLE
#define NPU_KIND_N 'N'
#define NPU_KIND_T 'T'
#define NPU_KIND_W 'W'
#define NPU_KIND_U 'U'
#define NPU_KIND_I 'I'
#define NPU_KIND_F 'F'
#define NPU_KIND_O 'O'
#define NPU_KIND_A 'A'
#define NPU_KIND_C 'C'
#define NPU_KIND_S 'S'
#define NPU_KIND_D 'D'
#define NPU_KIND_M 'M'
#define NPU_KIND_P 'P'
static const struct {
	__u8 code;
	struct npu_insn_info info;
} npu_insn_rows[] = {
#define NPU_INSN(code, NAME, mn, eng, d, a, b, c, r0, r1, r2, r3, imm, flags, doc)              \
	{ code,                                                                                  \
	  { mn,                                                                                  \
	    NPU_ENGINE_##eng,                                                                    \
	    { NPU_KIND_##d, NPU_KIND_##a, NPU_KIND_##b, NPU_KIND_##c },                          \
	    { NPU_KIND_##r0, NPU_KIND_##r1, NPU_KIND_##r2, NPU_KIND_##r3 },                      \
	    NPU_KIND_##imm,                                                                      \
	    flags } },
#include "spec/isa.def"
};
#endif

#ifdef __cplusplus
static_assert(sizeof(struct npu_insn) == NPU_INSN_BYTES, "npu_insn");
static_assert(sizeof(struct npu_tdesc) == 32, "npu_tdesc");
#else
_Static_assert(sizeof(struct npu_insn) == NPU_INSN_BYTES, "npu_insn");
_Static_assert(sizeof(struct npu_tdesc) == 32, "npu_tdesc");
#endif

#endif
