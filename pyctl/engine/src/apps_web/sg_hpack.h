/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The first header block of an HTTP/2 connection, field by field. */
#ifndef SG_HPACK_H
#define SG_HPACK_H

#include "prefix/sg_prefix.h"

enum sg_hpack_limit { SG_HPACK_TEXT = 64 };	/* bytes of a text that are shown */

/* The beginning of a name or a value, as it was sent. */
struct sg_hpack_text {
	__u32 len;		/* of all of it */
	__u8 is_huffman;
	__u8 bytes[SG_HPACK_TEXT];
};

/* A field that was sent as text. A name that was sent as a number has no text. */
struct sg_hpack_field {
	__u32 index;		/* of the name in HPACK's table; 0: it is in `name` */
	struct sg_hpack_text name;
	struct sg_hpack_text value;
};

/* Say whether a field of the client's first request is one that is looked for; MORE: the request is not whole yet.
 * GUESS: it has not begun, and some clients wait for the server's SETTINGS before. */
enum sg_match sg_hpack_find(const struct sg_prefix *prefix, int (*is_it)(const struct sg_hpack_field *field));

#endif
