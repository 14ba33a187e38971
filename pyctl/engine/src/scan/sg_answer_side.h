/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A server's side of HTTP/1 as its bytes come: the bodies of its answers, decoded. No I/O; no byte waits for a later one, but
 * of a head or a chunk's size that is not complete a copy is kept. */
#ifndef SG_ANSWER_SIDE_H
#define SG_ANSWER_SIDE_H

#include "answer/sg_http_answers.h"
#include "scan/sg_coded.h"

enum sg_answer_say {
	SG_ANSWER_MORE = 0,
	SG_ANSWER_OVER,		/* no HTTP/1, or not any more */
	SG_ANSWER_WRONG,	/* clients may read it differently */
};

/* How far it is read. Begins as zeros. */
struct sg_answer_side {
	struct sg_http_answers reader;
	struct sg_coded coded;
	__u8 *unit;		/* what is there of a unit that is not complete */
	__u32 unit_len;
	__u32 unit_room;
	__u64 body;		/* bytes of it that are still to come */
	__u8 last;		/* the message ends with them */
	__u8 seen;		/* an answer was read */
	__u8 said;		/* enum sg_answer_say, once it is not MORE */
};

/* Who takes bodies. */
struct sg_answer_take {
	struct sg_streams *all;
	int (*has_room)(void *ctx, __u32 bytes);
	sg_unzip_reader body;
	void (*end)(void *ctx);				/* the body is complete */
	void (*unread)(void *ctx, enum sg_coded_why why);	/* it, or the rest of it, is not decoded */
	void *ctx;
};

/* Read the next bytes. */
enum sg_answer_say sg_answer_read(struct sg_answer_side *side, const __u8 *bytes, __u32 len, const struct sg_answer_take *take);
/* Read no more, and give all memory back. */
void sg_answer_stop(struct sg_answer_side *side, struct sg_streams *all, enum sg_answer_say said);

#endif
