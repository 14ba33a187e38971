/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sets each port's share of the engine; there is no limit while the engine keeps up with the rings.
 *
 * After frames of several conversations piled up for 20 ms, one pace holds for every port (seg_control.share_gap_ns). It
 * slows down while frames still pile up, speeds up at once when a port needs a little more, and otherwise leaves the
 * engine some idle time, because a flood costs CPU at every hop. A sender that is refused and goes on is greedy and
 * gets an eighth of the pace; TCP without an answer waits, so it seldom is. The limit ends when no port has needed more
 * for a second, or when one conversation has been alone for ten seconds. Frames that waited for a new engine are judged
 * without it. The kernel paces the ports of its flow map (seg_share.h), the core paces the others. */
#ifndef SG_SHARE_H
#define SG_SHARE_H

#include "segctl_abi.h"

#define SG_SHARE_WINDOW_NS 5000000ULL

/* A window of the loop. */
struct sg_share_load {
	__u64 wall_ns;
	__u64 idle_ns;		/* of wall_ns: slept, because there were no frames */
	__u64 frames;		/* judged */
	int behind;		/* frames pile up in a ring */
	int hit;		/* enum seg_share_hit, bits */
	int contended;		/* frames between more than two addresses */
};

struct sg_share {
	__u64 gap_ns;		/* 0: no limit */
	__u64 hit_ns;		/* when the limit last mattered */
	__u64 busy;		/* smoothed, of 1024 */
	__u64 contended_ns;	/* when there was more than one conversation last */
	__u32 piled;		/* windows with piled-up frames, minus later windows without */
};

/* Return the gap from now on; call it after each window. */
__u64 sg_share_decide(struct sg_share *share, const struct sg_share_load *load, __u64 now);
/* Charge one packet to *due at this pace; 1: the packet is more than `limit` ahead of its time. */
int sg_share_take(__u64 *due, __u64 now, __u64 gap, __u64 limit);
/* Charge one packet to a share as seg_share.h does; returns bits of enum seg_share_hit. */
int sg_share_ask(struct seg_share *share, __u64 now, __u64 gap, __u64 limit);

#endif
