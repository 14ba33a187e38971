/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads what a server of HTTP/1 sends, answer after answer (RFC 9112), each with the request that it belongs to, as strictly
 * as the strictest client. Pure: no allocation, no I/O.
 *
 * Where an answer ends depends on the request: that of HEAD has no body, and that of CONNECT no end. What two clients might
 * read differently is refused, because one of them could find bytes in it that nobody looked at. */
#ifndef SG_HTTP_ANSWERS_H
#define SG_HTTP_ANSWERS_H

#include "http/sg_http_request.h"

enum sg_http_answers_limit { SG_HTTP_OPEN_MAX = 64 };	/* requests that wait for their answers; browsers send 6 ahead at most */

/* How far a server's side is read. Begins as zeros. */
struct sg_http_answers {
	__u64 heads;		/* bit per request, the first that waits being bit 0: it is HEAD */
	__u64 asks;		/* bit per request: it asks for another protocol */
	__u64 tunnels;		/* bit per request: it is CONNECT */
	__u32 scanned;		/* bytes of the unit that is not complete, in which its end is not */
	__u8 open;		/* requests that wait */
	__u8 state;
};

enum sg_http_answer_unit {
	SG_HTTP_ANSWER_MORE = 0,	/* the next unit is not complete */
	SG_HTTP_ANSWER_HEAD,		/* a status and headers */
	SG_HTTP_ANSWER_FRAMING,		/* bytes that only frame a body: a chunk's size, trailers */
	SG_HTTP_ANSWER_SWITCHED,	/* none: from here on the bytes are another protocol's */
	SG_HTTP_ANSWER_WRONG,		/* no answer, or one that may be read differently; the reader is of no use any more */
};

#define SG_HTTP_TO_THE_END (~0ULL)	/* of a body: as long as the connection lasts */

struct sg_http_answer_step {
	enum sg_http_answer_unit unit;
	__u32 used;		/* bytes of the unit */
	__u64 body;		/* so many bytes behind it are the body's */
	__u8 last;		/* with unit and body the message ends */
};

/* One answer's head. */
struct sg_http_answer {
	__u16 status;
	__u8 interim;		/* another one follows for the same request */
	__u8 chunked;
	__u8 coding;		/* enum sg_http_coding, of the body */
	__u8 switches;		/* from here on it is another protocol */
};

/* Note that the client has sent a request: HEAD or not, and what it asks to become (enum sg_http_switch). -1: too many wait. */
int sg_http_answers_expect(struct sg_http_answers *reader, int is_head, __u8 becomes);
/* Read one unit from the first of these bytes on; of one that is not complete, the next call has the same bytes and more.
 * *answer is filled with SG_HTTP_ANSWER_HEAD. The caller takes the step's body before it calls again. */
struct sg_http_answer_step sg_http_answers_read(struct sg_http_answers *reader, const __u8 *bytes, __u32 len,
						struct sg_http_answer *answer);

#endif
