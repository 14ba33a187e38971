/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The ring seg_closes: connections whose FIN or RST the kernel let pass. The engine is its one reader. */
#ifndef SG_CLOSE_RING_H
#define SG_CLOSE_RING_H

#include "api/sg_engine.h"

struct sg_close_ring {
	__u64 *consumed;		/* NULL: not open */
	const __u8 *pages;		/* the writers' position */
	const __u8 *data;		/* twice in a row */
	__u64 mark;			/* where the next reading stops */
	__u64 mark_frames;		/* frames that had been read when all that came before it are read */
	__u32 size;
};

/* Replaces the open one, if the pin is there and has our layout; else -errno. What is in it was told to an
 * engine before: it is skipped. */
int sg_close_ring_open(struct sg_close_ring *ring, const char *directory);
void sg_close_ring_close(struct sg_close_ring *ring);
/* Before a round that reads frames: those that are there now may be taken, once all frames have been read that came
 * before them. That is so when the rings were empty since, or as many were read as they hold. `frames`: read so far. */
void sg_close_ring_mark(struct sg_close_ring *ring, __u64 frames, __u32 slots);
/* After such a round: whether those that were marked may be taken. */
int sg_close_ring_is_due(const struct sg_close_ring *ring, __u64 frames, int drained);
/* 1 and the oldest that may be, which leaves the ring; 0: there is none. */
int sg_close_ring_take(struct sg_close_ring *ring, struct seg_close_event *out);

#endif
