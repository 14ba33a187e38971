/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the rings seg_opens and seg_closes: connections that programs opened, and connections whose FIN or RST they let
 * pass. The engine is their only reader. */
#ifndef SG_KERNEL_RING_H
#define SG_KERNEL_RING_H

#include "api/sg_engine.h"

struct sg_kernel_ring {
	__u64 *consumed;		/* NULL: not open */
	__u64 taken;			/* the position that is consumed after a release */
	const __u8 *pages;		/* the writers' position */
	const __u8 *data;		/* twice in a row */
	__u64 mark;			/* position up to which events may be taken */
	__u64 mark_frames;		/* count of read frames at which all before the mark are read */
	__u64 busy_ns;			/* since when the oldest record is not finished; 0: it is */
	__u32 size;
	__u32 bytes;			/* of an event */
};

/* Open the pin in place of an open ring; -errno if it is missing or has another layout. */
int sg_kernel_ring_open(struct sg_kernel_ring *ring, const char *directory, const char *name, __u32 bytes);
/* Skip the events that are there: they were for a former engine. */
void sg_kernel_ring_skip(struct sg_kernel_ring *ring);
void sg_kernel_ring_close(struct sg_kernel_ring *ring);
/* Mark the events present before a round of frames: they may be taken once all earlier frames have been read, which is
 * when the rings were empty since, or as many frames were read as they hold. `frames`: read so far. */
void sg_kernel_ring_mark(struct sg_kernel_ring *ring, __u64 frames, __u32 slots);
/* Return whether the marked events may be taken, after a round. */
int sg_kernel_ring_is_due(const struct sg_kernel_ring *ring, __u64 frames, int drained);
/* Take the oldest marked event, which stays in the ring until sg_kernel_ring_release(). Returns 1, or 0: there is none. */
int sg_kernel_ring_take(struct sg_kernel_ring *ring, void *out);
/* Take the oldest event, marked or not, in the same way. */
int sg_kernel_ring_take_any(struct sg_kernel_ring *ring, void *out);
/* Return whether the oldest record is being written, by a program whose CPU has not been away from it for long. */
int sg_kernel_ring_is_busy(struct sg_kernel_ring *ring, __u64 now_ns);
void sg_kernel_ring_release(struct sg_kernel_ring *ring);

#endif
