/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads header blocks of HTTP/2 (HPACK, RFC 7541) with libnghttp2, which is loaded when the first policy needs it.
 *
 * The library allocates, out of the streams' memory and no more than SG_INFLATE_BYTES for a connection; it does no I/O.
 *
 * What the server's SETTINGS say of the table is of no matter: a client tells in its header blocks how large it keeps it,
 * and a server that has a smaller one has the newest entries of this one, under the same numbers. So it reads each number as
 * it is read here, or has no entry for it, and ends the connection. */
#ifndef SG_INFLATE_H
#define SG_INFLATE_H

#include "stream/sg_stream.h"

#define SG_INFLATE_LIBRARY "libnghttp2.so.14"

enum sg_inflate_limit {
	SG_INFLATE_TABLE = 65536,	/* of a client's table; the standard's is 4096 unless the server allows more */
	SG_INFLATE_BYTES = 512 << 10,	/* that a connection's table may take; small entries take more than they count */
};

/* A name and its value, in place until the next call. */
struct sg_inflate_field {
	const __u8 *name;
	const __u8 *value;
	__u32 name_len;
	__u32 value_len;
};

enum sg_inflated {
	SG_INFLATED_FIELD,
	SG_INFLATED_ALL,	/* the fragment is read */
	SG_INFLATED_WRONG,
	SG_INFLATED_NO_ROOM,
};

struct sg_inflater;

/* Load the library of this name, unless one is loaded. NULL: have none, once no inflater is left. 0, or -1: it is not there. */
int sg_inflate_load(const char *name);
/* Return whether the library is loaded. */
int sg_inflate_is_loaded(void);
/* Begin a connection; NULL: no memory, or no library. `all` is in use until sg_inflater_free(). */
struct sg_inflater *sg_inflater_new(struct sg_streams *all);
void sg_inflater_free(struct sg_inflater *inflater);
/* Take a field off a fragment of a block, of which *at and *len are what is left; `is_last`: the block ends with it. What is
 * WRONG, or finds no room, cannot be read on. */
enum sg_inflated sg_inflate(struct sg_inflater *inflater, const __u8 **at, __u32 *len, int is_last,
			    struct sg_inflate_field *field);

#endif
