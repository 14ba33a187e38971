/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A body that may be compressed: what it carries, to be scanned. One that cannot be decoded is handed on as it is, and why is
 * told. No I/O; memory is taken when a coded body begins, and given back at its end. */
#ifndef SG_CODED_H
#define SG_CODED_H

#include "inflate/sg_unzip.h"
#include "stream/sg_stream.h"

enum sg_coded_limit {
	SG_CODED_TOTAL = 64 << 20,	/* bytes that may come out of a body: of a longer one the beginning is scanned */
	SG_CODED_ALL = 192 << 20,	/* of memory with which a body may go on, of all that is scanned: the rest is for others */
	SG_CODED_RATIO = 100,		/* pages and logs have 3 to 30; what has more for 8 MiB is made to have it */
};

/* Why a body, or the rest of it, was not decoded. */
enum sg_coded_why {
	SG_CODED_FINE = 0,
	SG_CODED_BROKEN = SG_UNZIP_BROKEN,
	SG_CODED_BOMB = SG_UNZIP_BOMB,
	SG_CODED_LONG = SG_UNZIP_LONG,
	SG_CODED_NO_ROOM = SG_UNZIP_NO_ROOM,
	SG_CODED_UNKNOWN = SG_UNZIP_STOPPED + 1,	/* in a way that is not known, or whose library is not there */
};

/* Begins as zeros. */
struct sg_coded {
	struct sg_unzip *stream;	/* NULL: bytes are handed on as they are */
	void *arena;
	__u32 size;
	__u32 counted;			/* bytes of it: as many as were touched */
	__u8 coding;
};

/* Begin a body in this coding (enum sg_http_coding); `has_room`: there is memory for it. */
enum sg_coded_why sg_coded_begin(struct sg_coded *coded, struct sg_streams *all, __u8 coding, int has_room);
/* Hand on what the next bytes carry. */
enum sg_coded_why sg_coded_add(struct sg_coded *coded, struct sg_streams *all, const __u8 *bytes, __u32 len,
			       sg_unzip_reader reader, void *ctx);
/* The body is over. */
void sg_coded_end(struct sg_coded *coded, struct sg_streams *all);
/* Return the memory that a body in this coding takes. */
__u32 sg_coded_bytes(__u8 coding);

#endif
