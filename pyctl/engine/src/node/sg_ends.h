/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Finds the rules that have a group at one of their ends. */
#ifndef SG_ENDS_H
#define SG_ENDS_H

#include "api/sg_core.h"
#include "class/sg_class.h"

/* The rules in which a group is at one end: list[first[group]] and on. */
struct sg_ends {
	__u32 *first;
	__u32 *list;
};

/* 0 or -ENOMEM. `targets`: by the target's group, else by the source's. */
int sg_ends_index(struct sg_ends *ends, const struct sg_node_rule *rules, __u32 count, __u32 groups, int targets);
void sg_ends_free(struct sg_ends *ends);
/* Mark the rules that a group of the class is in, and, with `among`, that are in it too: a bit for each. */
void sg_ends_mark(const struct sg_ends *ends, const struct sg_class *class, const __u64 *among, __u64 *marks);

#endif
