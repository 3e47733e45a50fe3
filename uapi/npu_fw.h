/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Firmware blobs: an ELF64 file with the programs, followed by a signed manifest.
 *
 *   [ ELF64 ][ struct npu_manifest ][ nseg x struct npu_manifest_seg ][ 64-byte Ed25519 signature ][ struct npu_manifest_trailer ]
 *
 * The trailer stands in the last 8 bytes of the file, so a reader finds the manifest from the end; the ELF part stays usable by every ELF tool.
 * The signature covers the text NPU_FW_SIGN_PREFIX (without its NUL) and then every byte of the manifest and its segment rows (not the ELF itself:
 * its SHA-256 is in the manifest). Order of checks on the device: copy once, sizes, hash, signature, counter, parse, every instruction.
 *
 * The ELF part: ELFCLASS64, little-endian, ET_EXEC, e_machine NPU_ELF_MACHINE, e_flags NPU_ELF_FLAGS(major, minor); exactly one PT_LOAD (flags R+X,
 * p_vaddr 0, p_filesz = p_memsz, a multiple of 32) with all instructions, and one PT_NOTE. Nothing else is read. Notes have owner "NPU" (namesz 4) and the
 * types below; a note of another type is refused, since a reader cannot know whether it matters.
 */
#ifndef NPU_UAPI_FW_H
#define NPU_UAPI_FW_H

#include <linux/types.h>

#define NPU_ELF_MACHINE 0x4e50
#define NPU_ELF_FLAGS(major, minor) (((__u32)(major) << 24) | ((__u32)(minor) << 16))
#define NPU_ELF_ISA_MINOR(flags) (((__u32)(flags) >> 16) & 0xff)
#define NPU_BLOB_MAX_BYTES (16u << 20)
#define NPU_BLOB_MAX_KERNELS 1024
#define NPU_KERNEL_NAME_BYTES 64
#define NPU_ARG_NAME_BYTES 32
#define NPU_KERNEL_MAX_ARGS 64
#define NPU_BLOB_MAX_FORMATS 4096

#define NPU_NOTE_OWNER "NPU"
enum npu_note_type {
	NPU_NOTE_BUILD_ID = 1, /* 16 bytes */
	NPU_NOTE_KERNEL = 2, /* struct npu_note_kernel, then nargs x struct npu_note_arg */
	NPU_NOTE_LINES = 3, /* struct npu_note_lines, then count x struct npu_note_line, then the strings */
	NPU_NOTE_FIRMWARE = 4, /* struct npu_note_firmware; exactly one in an image of type FIRMWARE, none in others */
	NPU_NOTE_FORMATS = 5, /* struct npu_note_formats, then count x struct npu_note_format, then the strings; ISA minor 1 */
};

/* One kernel. Names end with a NUL inside their field. */
struct npu_note_kernel {
	char name[NPU_KERNEL_NAME_BYTES];
	__u32 entry; /* index of its first instruction */
	__u32 insn_count;
	__u32 args_bytes; /* size of the argument block, a multiple of 8 */
	__u32 nargs;
	__u32 l1_bytes; /* scratchpad that the program may touch, from offset 0 */
	__u32 l2_bytes;
	__u32 acc_bytes;
	__u32 group_tiles; /* tiles a work-group; 1 for most kernels */
};

enum npu_arg_kind {
	NPU_ARG_U32 = 1,
	NPU_ARG_I32 = 2,
	NPU_ARG_F32 = 3,
	NPU_ARG_U64 = 4,
	NPU_ARG_DVA = 5, /* a device address; 0 where the kernel allows it */
};

struct npu_note_arg {
	char name[NPU_ARG_NAME_BYTES];
	__u32 offset;
	__u8 size; /* 4 or 8 */
	__u8 kind; /* enum npu_arg_kind */
	__u16 rsvd;
};

struct npu_note_lines {
	__u32 count;
	__u32 strings_bytes;
};

struct npu_note_firmware {
	__u16 abi_major; /* what FW_ABI will say */
	__u16 abi_minor;
	__u32 rsvd;
	char version[32]; /* visible ASCII, ends with a NUL */
};

/* Row n - 1 describes line id n. */
struct npu_note_line {
	__u32 file; /* offset of the file's name in the strings */
	__u32 line;
};

/* Texts of PRINT and CHECK (npu_format.h). Row n - 1 describes format n. */
struct npu_note_formats {
	__u32 count; /* at most NPU_BLOB_MAX_FORMATS */
	__u32 strings_bytes;
};

struct npu_note_format {
	__u32 text; /* offset of the text in the strings; it ends with a NUL */
	__u8 nargs; /* conversions that take an argument */
	__u8 rsvd[3];
};

enum npu_image_type {
	NPU_IMAGE_KERNELS = 1,
	NPU_IMAGE_FIRMWARE = 2, /* control firmware: a device takes it at boot only, never as a module */
};

enum npu_key_class {
	NPU_KEY_DEV = 1,
	NPU_KEY_PROD = 2,
	NPU_KEY_OWNER = 3,
};

#define NPU_MANIFEST_MAGIC 0x5355504eu /* "NPUS" */
#define NPU_MANIFEST_VERSION 1
#define NPU_MANIFEST_MAX_SEGS 4
#define NPU_FW_SIGN_PREFIX "npu-fw-v1"
#define NPU_SIGNATURE_BYTES 64
#define NPU_PUBLIC_KEY_BYTES 32
#define NPU_KEY_ID_BYTES 16 /* the first 16 bytes of SHA-256(public key) */

struct npu_manifest {
	__u32 magic;
	__u16 version;
	__u16 nseg;
	__u8 image_type;
	__u8 key_class;
	__u8 rsvd[6];
	__u64 security_counter;
	__u64 elf_bytes;
	__u8 key_id[NPU_KEY_ID_BYTES];
	__u8 elf_sha256[32];
};

/* One row for each program header of the ELF, in order. */
struct npu_manifest_seg {
	__u64 offset;
	__u64 size_bytes;
	__u8 sha256[32];
};

struct npu_manifest_trailer {
	__u32 manifest_bytes; /* everything after the ELF, this trailer included; 0: not signed */
	__u32 magic; /* NPU_MANIFEST_MAGIC */
};

#ifdef __cplusplus
#define NPU_FW_ASSERT_SIZE(type, size) static_assert(sizeof(struct type) == (size), #type)
#else
#define NPU_FW_ASSERT_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
#endif
NPU_FW_ASSERT_SIZE(npu_note_kernel, 96);
NPU_FW_ASSERT_SIZE(npu_note_arg, 40);
NPU_FW_ASSERT_SIZE(npu_note_lines, 8);
NPU_FW_ASSERT_SIZE(npu_note_line, 8);
NPU_FW_ASSERT_SIZE(npu_note_firmware, 40);
NPU_FW_ASSERT_SIZE(npu_note_formats, 8);
NPU_FW_ASSERT_SIZE(npu_note_format, 8);
NPU_FW_ASSERT_SIZE(npu_manifest, 80);
NPU_FW_ASSERT_SIZE(npu_manifest_seg, 48);
NPU_FW_ASSERT_SIZE(npu_manifest_trailer, 8);

#endif
