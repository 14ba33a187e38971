/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* One side of a TCP connection, read in order for as long as it lasts. Policy-free, no I/O, no clock.
 *
 * Its reader takes units off the bytes, one after the other, and may leave bytes out between them that are of no matter,
 * whatever they are: a body. Those may come in any order. What was read is kept until it is acknowledged, and a later copy
 * of it must be the same, so that of each byte that was read one version alone comes across. What is ahead of a hole is
 * not kept: its sender repeats it. */
#ifndef SG_WINDOW_H
#define SG_WINDOW_H

#include "stream/sg_stream.h"

enum sg_window_limit {
	SG_WINDOW_BYTES = 256 << 10,	/* that are kept of a side */
	SG_WINDOW_CUTS = 8,		/* pieces that are kept of one segment */
};

/* What a segment is to the reader. */
enum sg_window_place {
	SG_WINDOW_NEW,		/* there are bytes to read */
	SG_WINDOW_PAST,		/* all of its bytes were read, or are of no matter */
	SG_WINDOW_UNREAD,	/* it repeats bytes of a unit that is not complete */
	SG_WINDOW_AHEAD,	/* what is new of it lies behind a hole */
	SG_WINDOW_DIFFERS,	/* a byte is another than before */
	SG_WINDOW_NO_ROOM,	/* no memory, or too much is not acknowledged: nothing of it is kept */
};

struct sg_window;

/* Begin with the side's first byte, of this sequence number; NULL: no memory. */
struct sg_window *sg_window_new(struct sg_streams *all, __u32 first_seq);
void sg_window_free(struct sg_streams *all, struct sg_window *window);
/* Place a segment. With SG_WINDOW_NEW *bytes are those to read, from the first of the unit on; sg_window_keep() must
 * follow, or the segment counts as not seen. */
enum sg_window_place sg_window_add(struct sg_streams *all, struct sg_window *window, __u32 seq, const __u8 *data,
				   __u32 len, const __u8 **bytes, __u32 *count);
/* Return whether sg_window_keep() will find room, whatever is read of the segment. */
int sg_window_has_room(const struct sg_streams *all, const struct sg_window *window);
/* Take a unit of so many bytes off those to read, and leave out so many behind it. Returns how many bytes of the segment
 * that is. */
__u32 sg_window_read(struct sg_window *window, __u32 unit, __u64 skip);
/* Keep what was read of the segment, and what is left as the beginning of a unit. -1: no room, and the segment counts as
 * not seen. */
int sg_window_keep(struct sg_streams *all, struct sg_window *window);
/* Forget what the other side acknowledges. */
void sg_window_acknowledge(struct sg_streams *all, struct sg_window *window, __u32 ack);
/* Return whether all bytes before this sequence number were read, or are of no matter. */
int sg_window_is_read(const struct sg_window *window, __u32 seq);
/* Return whether all bytes before this sequence number came, be it of a unit that is not complete. */
int sg_window_is_there(const struct sg_window *window, __u32 seq);
/* Return whether all that was read is acknowledged. */
int sg_window_is_settled(const struct sg_window *window);

#endif
