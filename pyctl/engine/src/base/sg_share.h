/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* How much of the engine's time a port may have: without a limit while the engine keeps up with the rings.
 *
 * Once frames of several conversations pile up for 20 ms, one pace holds for every port (seg_control.share_gap_ns):
 * slower while they still do, faster at once when somebody needs a little more than it, and else so that the engine
 * has time to spare: a flood takes the CPU of others at every station of its way. Who is refused and sends on all the
 * same is greedy, and gets an eighth of the pace; TCP without an answer waits, so it seldom is. The pace is lifted when nobody
 * has asked for more for a second, or one conversation has been alone for ten: it takes nothing from anybody. What
 * waited for a new engine is judged before that. The kernel keeps the ports of its flow map to the pace
 * (seg_share.h), the core the others. */
#ifndef SG_SHARE_H
#define SG_SHARE_H

#include "segctl_abi.h"

#define SG_SHARE_WINDOW_NS 5000000ULL

/* A window of the loop. */
struct sg_share_load {
	__u64 wall_ns;
	__u64 idle_ns;		/* of it: slept for want of frames */
	__u64 frames;		/* judged */
	int behind;		/* frames pile up in a ring */
	int hit;		/* enum seg_share_hit, bits */
	int contended;		/* frames between more than two addresses */
};

struct sg_share {
	__u64 gap_ns;		/* 0: no limit */
	__u64 hit_ns;		/* when somebody was held to it last */
	__u64 busy;		/* smoothed, of 1024 */
	__u64 contended_ns;	/* when there was more than one conversation last */
	__u32 piled;		/* windows in which frames piled up, less those since in which they did not */
};

/* After each window: the gap from now on. */
__u64 sg_share_decide(struct sg_share *share, const struct sg_share_load *load, __u64 now);
/* One more packet of whom *due belongs to, at this pace: 1 where it is one too many, `limit` ahead of its time. */
int sg_share_take(__u64 *due, __u64 now, __u64 gap, __u64 limit);
/* Likewise, as seg_share.h does it: enum seg_share_hit, bits. */
int sg_share_ask(struct seg_share *share, __u64 now, __u64 gap, __u64 limit);

#endif
