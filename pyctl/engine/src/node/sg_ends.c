/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Rules by group; see the header. In: rules, classes. Out: bits of rules. No I/O. */
#include "node/sg_ends.h"

#include <errno.h>
#include <stdlib.h>

int sg_ends_index(struct sg_ends *ends, const struct sg_node_rule *rules, __u32 count, __u32 groups, int targets)
{
	ends->first = calloc(groups + 2ULL, sizeof(*ends->first));
	ends->list = calloc(count + 1ULL, sizeof(*ends->list));
	if (!ends->first || !ends->list)
		return -ENOMEM;
	/* Counted two places up, so that filling leaves each group's beginning where it belongs. */
	for (__u32 i = 0; i < count; i++)
		ends->first[(targets ? rules[i].target : rules[i].source) + 2]++;
	for (__u32 g = 1; g < groups + 2; g++)
		ends->first[g] += ends->first[g - 1];
	for (__u32 i = 0; i < count; i++)
		ends->list[ends->first[(targets ? rules[i].target : rules[i].source) + 1]++] = i;
	return 0;
}

void sg_ends_free(struct sg_ends *ends)
{
	free(ends->first);
	free(ends->list);
}

void sg_ends_mark(const struct sg_ends *ends, const struct sg_class *class, const __u64 *among, __u64 *marks)
{
	for (__u32 g = 0; g < class->count; g++)
		for (__u32 i = ends->first[class->groups[g]]; i < ends->first[class->groups[g] + 1]; i++) {
			__u32 rule = ends->list[i];
			__u64 bit = 1ULL << (rule % 64);

			if (!among || among[rule / 64] & bit)
				marks[rule / 64] |= bit;
		}
}
