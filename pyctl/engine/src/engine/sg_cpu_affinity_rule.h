/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where the packet loop is to run: the rule of sg_cpu_affinity.h, without a system call. */
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
	int cpu;		/* SG_CPU_ANY, or where it is held */
	int candidate;		/* free: the CPU that the last window spoke for */
	__u32 agreed;		/* free: so many windows in a row */
	__u32 doubt;		/* held: each window that speaks for another place adds to it */
	__u32 bad;		/* held: so many windows in a row were worse than free ones */
	__u64 frames_free;	/* in 10 ms, before it was held */
	__u64 pinned_since_ns;
	__u64 backoff_ns;	/* the last one: it doubles where coming back did not last */
	__u64 free_until_ns;
};

/* The CPU to be on from now on, or SG_CPU_ANY. */
int sg_cpu_affinity_decide(struct sg_cpu_affinity_rule *rule, const struct sg_cpu_affinity_load *load, __u64 now);
/* It is there for another reason: it could not move, or was freed. */
void sg_cpu_affinity_override(struct sg_cpu_affinity_rule *rule, int cpu, __u64 now);

#endif
