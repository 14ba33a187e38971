/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the ring seg_closes: connections whose FIN or RST the kernel let pass. The engine is its only reader. */
#ifndef SG_CLOSE_RING_H
#define SG_CLOSE_RING_H

#include "api/sg_engine.h"

struct sg_close_ring {
	__u64 *consumed;		/* NULL: not open */
	const __u8 *pages;		/* the writers' position */
	const __u8 *data;		/* twice in a row */
	__u64 mark;			/* position up to which events may be taken */
	__u64 mark_frames;		/* count of read frames at which all before the mark are read */
	__u32 size;
};

/* Open the pin in place of an open ring; -errno if it is missing or has another layout. Events already in it were for a
 * former engine: they are skipped. */
int sg_close_ring_open(struct sg_close_ring *ring, const char *directory);
void sg_close_ring_close(struct sg_close_ring *ring);
/* Mark the events present before a round of frames: they may be taken once all earlier frames have been read, which is
 * when the rings were empty since, or as many frames were read as they hold. `frames`: read so far. */
void sg_close_ring_mark(struct sg_close_ring *ring, __u64 frames, __u32 slots);
/* Return whether the marked events may be taken, after a round. */
int sg_close_ring_is_due(const struct sg_close_ring *ring, __u64 frames, int drained);
/* Take the oldest marked event out of the ring. Returns 1, or 0: there is none. */
int sg_close_ring_take(struct sg_close_ring *ring, struct seg_close_event *out);

#endif
