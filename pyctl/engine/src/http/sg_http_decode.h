/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Takes the encoding of targets and forms off, as bytes come. Pure. */
#ifndef SG_HTTP_DECODE_H
#define SG_HTTP_DECODE_H

#include "api/sg_core.h"

enum { SG_HTTP_DECODE_TWICE = 2 };

/* How far the encoding is taken off. Begins as zeros. */
struct sg_http_decode {
	struct {
		__u8 held[2];	/* bytes of an escape that is not complete */
		__u8 count;
	} level[SG_HTTP_DECODE_TWICE];
};

/* Decode bytes twice, as attackers encode them; a plus is a space. What is no escape stays as it is. Returns how many bytes
 * are in out, which has room for len + 4. With `ends` nothing is held back. */
__u32 sg_http_decode(struct sg_http_decode *decode, const __u8 *bytes, __u32 len, int ends, __u8 *out);

#endif
