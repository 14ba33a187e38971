/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* One side of a TCP connection, all of it read in order. Policy-free, no I/O, no clock.
 *
 * What lies behind a hole is kept, and read once the hole is filled: so whoever sends such a segment on lets the receiver
 * tell its sender what is missing, and the receiver takes nothing of it before what is read first. What was read is kept
 * until it is acknowledged, and a later copy of a byte must be the same. */
#ifndef SG_TAPE_H
#define SG_TAPE_H

#include "stream/sg_stream.h"

enum sg_tape_limit {
	SG_TAPE_BYTES = 6 << 20,	/* that are kept of a side: as much as Linux sends unacknowledged (tcp_wmem) and more */
	SG_TAPE_AHEAD = 1024,		/* pieces behind holes */
};

/* What a segment is to the reader. */
enum sg_tape_place {
	SG_TAPE_NEW,		/* there are bytes to read */
	SG_TAPE_PAST,		/* all of its bytes were there before */
	SG_TAPE_AHEAD_OF,	/* what is new of it lies behind a hole, and is kept */
	SG_TAPE_DIFFERS,	/* a byte is another than before */
	SG_TAPE_NO_ROOM,	/* no memory, or too much is not acknowledged: not all of it is kept */
};

struct sg_tape;

/* Begin with the byte of this sequence number; NULL: no memory. */
struct sg_tape *sg_tape_new(struct sg_streams *all, __u32 first_seq);
void sg_tape_free(struct sg_streams *all, struct sg_tape *tape);
enum sg_tape_place sg_tape_add(struct sg_streams *all, struct sg_tape *tape, __u32 seq, const __u8 *data, __u32 len);
/* Return bytes to read, and how many; NULL: there are none. */
const __u8 *sg_tape_next(const struct sg_tape *tape, __u32 *len);
/* Take so many of them as read. */
void sg_tape_read(struct sg_tape *tape, __u32 len);
/* Forget what the other side acknowledges of what was read. Returns 1: it acknowledges bytes that were not. */
int sg_tape_acknowledge(struct sg_streams *all, struct sg_tape *tape, __u32 ack);
/* Go on behind a hole, or at this sequence number, if that is before. */
void sg_tape_skip(struct sg_streams *all, struct sg_tape *tape, __u32 seq);
/* Return whether the next byte to be read is the one of this number. */
int sg_tape_is_at(const struct sg_tape *tape, __u32 seq);

#endif
