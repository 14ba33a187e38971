/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What decides between two classes: the rules of both, turned into the first match for each port. */
#ifndef SG_PAIR_H
#define SG_PAIR_H

#include "api/sg_core.h"

enum sg_pair_table {
	SG_PAIR_TCP, SG_PAIR_UDP, SG_PAIR_SCTP, SG_PAIR_ICMP, SG_PAIR_ICMPV6, SG_PAIR_OTHER,
	SG_PAIR_STAGED,		/* from here on the same ones again, as if staged rules were in force */
	SG_PAIR_TABLES = 2 * SG_PAIR_STAGED,
};

/* From this port on, up to the next step, this rule. */
struct sg_step {
	__u32 port;
	__u32 rule;		/* index + 1; 0: none matches */
};

struct sg_pair {
	__u32 first[SG_PAIR_TABLES + 1];	/* where each table begins in steps */
	__u32 by_facts;				/* a rule between both classes has a condition; whoever asked for the pair says it */
	/* Each table's first is for port 0. Where no rule is staged, there are no second ones. */
	struct sg_step steps[];
};

/* `candidates` are indexes of rules, ascending. NULL: no memory. Free with free(). */
struct sg_pair *sg_pair_compile(const struct sg_node_rule *rules, const struct sg_node_spec *specs,
				const __u32 *candidates, __u32 count);
/* Index + 1, or 0. */
__u32 sg_pair_find(const struct sg_pair *pair, __u32 table, __u16 port);

static inline __u64 sg_pair_size(const struct sg_pair *pair)
{
	return sizeof(*pair) + pair->first[SG_PAIR_TABLES] * sizeof(struct sg_step);
}

#endif
