/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The names of groups, found by a name that the network shows. A search takes as many steps as the name has labels, each
 * logarithmic in the names that there are. */
#ifndef SG_FQDNS_H
#define SG_FQDNS_H

#include "api/sg_core.h"

enum { SG_FQDNS_FOUND = 256 /* groups that one search tells */ };

struct sg_fqdns {
	struct sg_node_fqdn *all;	/* ascending by name */
	__u32 count;
};

/* 0 or -ENOMEM. */
int sg_fqdns_build(struct sg_fqdns *fqdns, const struct sg_node_fqdn *from, __u32 count);
void sg_fqdns_free(struct sg_fqdns *fqdns);
/* Add the groups that the name (lower case, no dot at the end) is in to the `found` ones; returns how many there are now,
 * at most SG_FQDNS_FOUND. */
__u32 sg_fqdns_find(const struct sg_fqdns *fqdns, const char *name, __u32 *groups, __u32 found);

#endif
