/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads elements of ASN.1's BER with definite lengths, each within its outer one. */
#ifndef SG_BER_H
#define SG_BER_H

#include "prefix/sg_reader.h"

/* Read the head of an element with this tag; return where it ends. */
static inline __u32 sg_ber_enter(struct sg_reader *reader, __u8 tag, __u32 outer)
{
	__u64 len;

	sg_require(reader, sg_take(reader, 1) == tag);
	len = sg_take(reader, 1);
	if (len > 0x7f) {
		sg_require(reader, len > 0x80 && len <= 0x84);
		if (sg_fine(reader))
			len = sg_take(reader, (__u32)len & 0x7f);
	}
	return sg_end(reader, len, outer);
}

/* Read a whole element with this tag, and nothing of what is in it. */
static inline void sg_ber_skip(struct sg_reader *reader, __u8 tag, __u32 outer)
{
	__u32 end = sg_ber_enter(reader, tag, outer);

	if (sg_fine(reader))
		sg_skip(reader, end - reader->at);
}

/* Read a number of at most 31 bits that is not below 0, which may have leading zeros in five bytes. */
static inline __u32 sg_ber_number(struct sg_reader *reader, __u8 tag, __u32 outer)
{
	__u32 end = sg_ber_enter(reader, tag, outer);
	__u32 bytes = end - reader->at;
	__u64 value;

	sg_require(reader, bytes >= 1 && bytes <= 5);
	if (!sg_fine(reader))
		return 0;
	value = sg_take(reader, bytes);
	sg_require(reader, value <= 0x7fffffff);
	return (__u32)value;
}

#endif
