/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Decodes a target or a form as the most liberal server does, in pieces of any size: what patterns are looked for in, besides
 * the bytes as they were sent. Pure: no allocation, no I/O.
 *
 * Twice: an escape (%27, %u0027), and one that is escaped itself (%2527). A plus is a space. Two bytes that are an overlong
 * form of one in UTF-8 (C0 AF) are that one. What is no escape stays as it is. */
#ifndef SG_HTTP_DECODE_H
#define SG_HTTP_DECODE_H

#include "segctl_abi.h"

enum sg_http_decode_limit {
	SG_HTTP_ESCAPE = 6,	/* %uXXXX */
	SG_HTTP_DECODED_MORE = 2 * SG_HTTP_ESCAPE + 1,	/* bytes that come out at most besides as many as were given */
};

/* What is not complete, of each of the two times and of the overlong form. Begins as zeros. */
struct sg_http_decoder {
	__u8 held[2][SG_HTTP_ESCAPE];
	__u8 count[2];
	__u8 lead;		/* C0 or C1; 0: none */
};

/* Decode more bytes. Returns how many were written to out, which has room for len + SG_HTTP_DECODED_MORE. */
__u32 sg_http_decode(struct sg_http_decoder *decoder, const __u8 *bytes, __u32 len, __u8 *out);
/* Write what is left at the end, and begin anew. */
__u32 sg_http_decode_end(struct sg_http_decoder *decoder, __u8 *out);
/* Return whether decoding would change the bytes, or the end of those before it. */
int sg_http_is_encoded(const struct sg_http_decoder *decoder, const __u8 *bytes, __u32 len);

#endif
