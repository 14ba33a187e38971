/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Finds the CIDR groups of an address: each IP version's addresses are cut into spans of one class each, so a search is
 * logarithmic and overlapping CIDRs cost nothing. */
#ifndef SG_NETS_H
#define SG_NETS_H

#include "class/sg_class.h"
#include "api/sg_core.h"

struct sg_span {
	__u64 start[2];		/* its first address, in host order; IPv4 at the top */
	__u32 class;
	__u32 pad;
};

/* A network of the policy, and the class of those of its addresses that no network in it has. */
struct sg_network {
	__u64 net[2];		/* as a span's start */
	__u32 class;
	__u8 length;
	__u8 pad[3];
};

struct sg_nets {
	struct sg_span *spans[2];	/* [IPv4, IPv6]; the first starts at 0 */
	__u32 counts[2];
	struct sg_network *prefixes[2];	/* each once, a wider one before those in it; the first is of length 0 */
	__u32 prefix_counts[2];
};

/* Return 0, -ENOMEM, or -EINVAL for an invalid CIDR. */
int sg_nets_build(struct sg_nets *nets, struct sg_classes *classes, const struct sg_node_cidr *cidrs,
		  __u32 count);
void sg_nets_free(struct sg_nets *nets);
__u32 sg_nets_find(const struct sg_nets *nets, __u8 family, const __u8 *address);
/* Return whether the address alone is a network of the policy. */
int sg_nets_has(const struct sg_nets *nets, __u8 family, const __u8 *address);

#endif
