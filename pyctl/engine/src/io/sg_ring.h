/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* One TPACKET_V2 receive ring, read in place. API: sg_ring_map(), _unmap(), _peek(), _frame(),
 * _advance(), _release(), _resync(), _read_drops().
 *
 * V2 because V3 retires its blocks on a timer (1 ms of latency). Three rings instead of one: small
 * frames want many cheap slots, super-frames need 68 KiB each, and with jumbo frames in such slots
 * 180 of them filled the ring within a millisecond or two.
 */
#ifndef SG_RING_H
#define SG_RING_H

#include <linux/if_packet.h>
#include <stddef.h>

#include "api/sg_engine.h"

struct sg_ring {
	int fd;
	unsigned int kind;		/* SG_RING_* */
	__u8 *map;
	size_t map_len;
	__u32 slots;
	__u32 head;			/* next slot to read; shared->next follows it */
	struct tpacket2_hdr *slot;	/* the head */
	struct sg_ring_state *shared;
	__u64 stuck_ns;			/* since when poll and the head slot contradict each other */
};

/* Map the ring of a socket of sg_rings_open, and continue at shared->next. Returns 0 or -errno. */
int sg_ring_map(struct sg_ring *ring, unsigned int kind, int fd, struct sg_ring_state *shared);
void sg_ring_unmap(struct sg_ring *ring);

/* The head slot, or NULL when the kernel has not filled it. */
const struct tpacket2_hdr *sg_ring_peek(const struct sg_ring *ring);
/* What is in the slot; the bytes stay in it. */
void sg_ring_frame(const struct tpacket2_hdr *slot, struct sg_frame *frame);
void sg_ring_advance(struct sg_ring *ring);
/* Give every slot before the head back to the kernel. */
void sg_ring_release(struct sg_ring *ring);

/* Return whether frames pile up: in a 16th of the small ring, a quarter or half of the others. */
int sg_ring_is_behind(const struct sg_ring *ring);

/* Find the oldest filled slot again: the index is off by one where an engine was killed between
 * giving a slot back and writing that down. Returns 1 when the head moved. */
int sg_ring_resync(struct sg_ring *ring);
/* Add the kernel's counts since the last call to shared. */
void sg_ring_read_drops(struct sg_ring *ring);

#endif
