/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where the packet loop runs: beside who waits for it, or where the scheduler likes.
 *
 * A SYN is on its way to the engine and its sender falls asleep. Left alone, the scheduler wakes the loop
 * on another, idle CPU: an interrupt between CPUs there, one back, and the connection's next packet goes a
 * detour (seg_flow_races). On the sender's own CPU it is a change of threads. Under load the reverse holds:
 * a loop that shares its CPU with who fills its rings takes half of it away.
 *
 * So in windows of 10 ms: near, while all that is steered comes from one CPU, and the loop neither wants
 * most of that nor waits for it long; else free. Measured with two CPUs, one connection at a time: 0.84 of
 * the direct path's connections per second instead of 0.70; a stream through the engine on its sender's
 * CPU: 0.51 of the direct path's instead of 0.67.
 * API: sg_place_open(), sg_place_look(), sg_place_close(), by the loop's thread alone.
 */
#ifndef SG_PLACE_H
#define SG_PLACE_H

#define _GNU_SOURCE
#include <sched.h>

#include "sg_place_rule.h"

struct sg_place {
	struct sg_place_rule rule;
	int stat_fd;		/* -1: this kernel does not tell; free for good */
	cpu_set_t allowed;	/* what the thread was given, or an administrator gave it since */
	__u64 window_ns;	/* since when */
	struct sg_place_load before;	/* sums at that moment */
};

void sg_place_open(struct sg_place *place);
void sg_place_close(struct sg_place *place);
/* Ends a window that is old enough; 1 where the thread moved. */
int sg_place_look(struct sg_place *place, struct seg_control *control, __u64 now);
#endif
