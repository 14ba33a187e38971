/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Decides where the packet loop runs (sg_cpu_affinity.h), without a system call. */
#ifndef SG_CPU_AFFINITY_RULE_H
#define SG_CPU_AFFINITY_RULE_H

#include "segctl_abi.h"

enum { SG_CPU_ANY = -1 };

/* A window. */
struct sg_cpu_affinity_load {
	__u32 from;		/* seg_control.producer_cpu */
	__u32 turns;		/* times the loop got a CPU */
	__u64 wall_ns;
	__u64 frames;		/* that it read */
	__u64 waited_ns;	/* was runnable, and had none */
};

/* What a decision needs of the windows before. */
struct sg_cpu_affinity_rule {
	int cpu;		/* SG_CPU_ANY, or the one that it is pinned to */
	int candidate;		/* free: the senders' CPU in the last window */
	__u32 agreed;		/* free: windows in a row with that CPU */
	__u32 doubt;		/* pinned: each window with another CPU adds to it */
	__u32 bad;		/* pinned: windows in a row that were worse than free ones */
	__u64 frames_free;	/* in 10 ms, before it was pinned */
	__u64 pinned_since_ns;
	__u64 backoff_ns;	/* doubles each time that pinning did not last */
	__u64 free_until_ns;
};

/* Return the CPU to pin to from now on, or SG_CPU_ANY. */
int sg_cpu_affinity_decide(struct sg_cpu_affinity_rule *rule, const struct sg_cpu_affinity_load *load, __u64 now);
/* Set the CPU without a decision: the thread could not move, or was unpinned by another. */
void sg_cpu_affinity_override(struct sg_cpu_affinity_rule *rule, int cpu, __u64 now);

#endif
