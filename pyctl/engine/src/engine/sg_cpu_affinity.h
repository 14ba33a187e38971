/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Chooses the CPU of the packet loop: its senders' CPU, or any.
 *
 * After a packet to the engine its sender often sleeps. By itself the scheduler wakes the loop on another, idle CPU: that costs
 * an interrupt each way, and the connection's next packet goes through the engine (seg_must_defer_to_engine()). On the
 * sender's CPU it is only a context switch. Under load a loop on its senders' CPU takes half of that CPU away.
 *
 * So in windows of 10 ms the loop is pinned while all frames come from one CPU, a few at a time, and it gets that CPU
 * without waiting long; else it is free. Measured on two CPUs with the cache off, this rule against a loop that is always
 * free: round trips on one core 50 and 7 k/s, on a core each 9.4 and 9.5, connections in sequence 4.9 and 4.6 k/s. A stream
 * through a loop that is always pinned runs at 0.76 of one that is free.
 *
 * API: sg_cpu_affinity_open(), sg_cpu_affinity_look(), sg_cpu_affinity_close(), by the loop's thread alone; sg_cpu_affinity_rescue() by
 * any other.
 */
#ifndef SG_CPU_AFFINITY_H
#define SG_CPU_AFFINITY_H

#include <pthread.h>
#include <sched.h>

#include "engine/sg_cpu_affinity_rule.h"

struct sg_cpu_affinity {
	struct sg_cpu_affinity_rule rule;
	pthread_mutex_t lock;		/* of the next three */
	cpu_set_t allowed;		/* CPUs that it may use when it is free */
	int pinned;			/* SG_CPU_ANY, or the one CPU */
	int rescued;
	pid_t thread;			/* 0: free for good */
	int stat_fd;
	__u64 window_ns;		/* since when */
	struct sg_cpu_affinity_load before;	/* sums at that moment */
};

/* Start; the thread is never pinned if the kernel does not account how long it waits. */
void sg_cpu_affinity_open(struct sg_cpu_affinity *affinity);
void sg_cpu_affinity_close(struct sg_cpu_affinity *affinity);
/* End a window that is old enough; `frames`: read by the loop so far. Returns 1 if the thread moved. */
int sg_cpu_affinity_look(struct sg_cpu_affinity *affinity, struct seg_control *control, __u64 frames, __u64 now);
/* Unpin a loop that does not answer: a real-time thread may keep its CPU. */
void sg_cpu_affinity_rescue(struct sg_cpu_affinity *affinity);

#endif
