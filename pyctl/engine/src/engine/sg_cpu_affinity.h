/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where the packet loop runs: beside who waits for it, or where the scheduler likes.
 *
 * A SYN is on its way to the engine and its sender falls asleep. Left alone, the scheduler wakes the loop
 * on another, idle CPU: an interrupt between CPUs there, one back, and the connection's next packet goes a
 * detour (seg_must_defer_to_engine()). On the sender's own CPU it is a change of threads. Under load the reverse holds:
 * a loop that shares its CPU with who fills its rings takes half of it away.
 *
 * So in windows of 10 ms: near, while all that is steered comes from one CPU, a few frames at a time, and
 * the loop gets that CPU without waiting long; else free. Measured on two CPUs, held near and left free:
 * connections one after the other 0.82 and 0.70 of the direct path's, round trips on one core with the cache
 * off 50 and 6 k/s, a stream through the engine 0.51 and 0.67.
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
	cpu_set_t allowed;		/* where it may be when it is free */
	int pinned;			/* SG_CPU_ANY, or the one CPU */
	int rescued;
	pid_t thread;			/* 0: free for good */
	int stat_fd;
	__u64 window_ns;		/* since when */
	struct sg_cpu_affinity_load before;	/* sums at that moment */
};

/* Free for good where the kernel does not tell how long a thread waits. */
void sg_cpu_affinity_open(struct sg_cpu_affinity *affinity);
void sg_cpu_affinity_close(struct sg_cpu_affinity *affinity);
/* Ends a window that is old enough; `frames`: that the loop has read so far. 1 where the thread moved. */
int sg_cpu_affinity_look(struct sg_cpu_affinity *affinity, struct seg_control *control, __u64 frames, __u64 now);
/* For a loop that does not answer: behind a real-time thread it would be held as long as that runs. */
void sg_cpu_affinity_rescue(struct sg_cpu_affinity *affinity);

#endif
