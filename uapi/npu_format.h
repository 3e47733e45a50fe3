/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Formats: the texts that kernels print. One place says what is a format, for the tools that write it, the device that loads it and the library that prints it.
 *
 * A format is 1 to NPU_FORMAT_MAX_BYTES - 1 characters of visible ASCII and blanks. '%' begins a conversion, the same as printf has: flags of "-+ 0#", each at most
 * once, '#' with x X f e g only; a width of up to two digits; '.' and a precision of up to two digits; then one of
 *   d i     the register as a signed number           u x X p   as an unsigned number, p with 0x in front
 *   f e g   its lower 32 bits as an fp32 number       %         a '%', takes no argument, and stands right behind the first one
 * At most NPU_FORMAT_MAX_ARGS arguments. There is no conversion that reads or writes memory.
 */
#ifndef NPU_UAPI_FORMAT_H
#define NPU_UAPI_FORMAT_H

#include <linux/types.h>

#define NPU_FORMAT_MAX_BYTES 256
#define NPU_FORMAT_MAX_ARGS 4

/* One conversion of a text: its characters [begin, end), and the last of them. */
struct npu_conversion {
	__u32 begin;
	__u32 end;
	char kind;
	__u8 rsvd[3];
};

static inline __u32 npu_format_digits(const char *text, __u32 at)
{
	__u32 count = 0;

	while (count < 2 && text[at + count] >= '0' && text[at + count] <= '9')
		count++;
	return at + count;
}

/* The next conversion from @at on. 1: *out has it; 0: there is none; -1: it is none that exists. @text ends with a NUL. */
static inline int npu_format_next(const char *text, __u32 at, struct npu_conversion *out)
{
	static const char flags[] = "-+ 0#";
	static const char kinds[] = "diuxXpfeg";
	__u32 seen = 0;
	__u32 i;

	while (text[at] != '\0' && text[at] != '%')
		at++;
	if (text[at] == '\0')
		return 0;
	out->begin = at++;
	if (text[at] != '%') {
		for (i = 0; flags[i] != '\0';) {
			if (text[at] != flags[i]) {
				i++;
				continue;
			}
			if (seen & (1u << i))
				return -1;
			seen |= 1u << i;
			at++;
			i = 0;
		}
		at = npu_format_digits(text, at);
		if (text[at] == '.')
			at = npu_format_digits(text, at + 1);
		for (i = 0; kinds[i] != '\0' && kinds[i] != text[at];)
			i++;
		/* '#' has a meaning for x X f e g only. */
		if (kinds[i] == '\0' || ((seen & 0x10) && (i < 3 || i == 5)))
			return -1;
	}
	out->kind = text[at];
	out->end = at + 1;
	return 1;
}

/* How many arguments the text of @bytes bytes, with the NUL that must be its last one, takes. -1: it is no format. */
static inline int npu_format_args(const char *text, __u32 bytes)
{
	struct npu_conversion next = { 0, 0, 0, { 0 } };
	int count = 0;
	__u32 i;
	int found;

	if (bytes < 2 || bytes > NPU_FORMAT_MAX_BYTES || text[bytes - 1] != '\0')
		return -1;
	for (i = 0; i + 1 < bytes; i++)
		if (text[i] < ' ' || text[i] > '~')
			return -1;
	while ((found = npu_format_next(text, next.end, &next)) == 1)
		if (next.kind != '%' && ++count > NPU_FORMAT_MAX_ARGS)
			return -1;
	return found < 0 ? -1 : count;
}

#endif
