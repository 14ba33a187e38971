/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Parts of a head: words, lines and headers, of requests and answers alike. Pure. */
#ifndef SG_HTTP_SLICE_H
#define SG_HTTP_SLICE_H

#include "segctl_abi.h"

/* Bytes that are read from their beginning on. */
struct sg_http_slice {
	const __u8 *at;
	__u32 len;
};

static inline int sg_http_is_capital_or_digit(__u8 byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

static inline __u8 sg_http_lower(__u8 byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* Return the value of a hexadecimal digit; -1: it is none. */
static inline int sg_http_hex(__u8 byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Return whether the part is this text, which is in lower case, whatever its own letters' case. */
int sg_http_is(struct sg_http_slice part, const char *text);
int sg_http_same(struct sg_http_slice one, struct sg_http_slice other);
/* Take the part before the next CRLF, which must be there, off the lines. */
struct sg_http_slice sg_http_take_line(struct sg_http_slice *lines);
/* Take the next item off a list with commas, without spaces around it; -1: the list is at its end. */
int sg_http_take_item(struct sg_http_slice *list, struct sg_http_slice *item);
/* Split a header; -1: it is none. */
int sg_http_split(struct sg_http_slice line, struct sg_http_slice *name, struct sg_http_slice *value);
/* Return whether the byte may be in a token (RFC 9110): a name or a method. */
int sg_http_is_token(__u8 byte);
/* Read a content's length; -1: it is none, or too large. */
int sg_http_read_length(const __u8 *digits, __u32 len, __u64 *length);
/* Read the line of a chunk's size; `is_next`: behind the CRLF that ends the chunk before. Returns its length; 0: it is not
 * complete; -1: it is none. *scanned: bytes that need not be looked at again. */
int sg_http_chunk(const __u8 *bytes, __u32 len, int is_next, __u32 *scanned, __u64 *size);

#endif
