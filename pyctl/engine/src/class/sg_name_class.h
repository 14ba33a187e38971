/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The groups that addresses are in by their names. */
#ifndef SG_NAME_CLASS_H
#define SG_NAME_CLASS_H

#include "class/sg_class.h"
#include "names/sg_fqdns.h"
#include "names/sg_named.h"

struct sg_name_classes {
	struct sg_fqdns fqdns;
	struct sg_named_table *table;	/* NULL: nobody has names */
	__u8 *meets;			/* by group: 1 if a rule has a group of names at its other end */
	int all_meet;			/* one of these is `any`, or of networks, which any workload may be in */
};

/* 0 or -ENOMEM. `groups` is how many there are; of rules and networks, their groups count. */
int sg_name_classes_build(struct sg_name_classes *names, __u32 groups, const struct sg_node_fqdn *fqdns, __u32 count);
/* Note that a rule holds between these groups; after all rules, that a group is of networks. */
void sg_name_classes_rule(struct sg_name_classes *names, __u32 source, __u32 target);
void sg_name_classes_net(struct sg_name_classes *names, __u32 group);
void sg_name_classes_free(struct sg_name_classes *names);
/* Use this table; its answers have no classes yet. */
void sg_name_classes_use(struct sg_name_classes *names, struct sg_named_table *table);
/* Return whether a rule says of a workload of this class what it may do with an address by its name. */
int sg_name_classes_meet(const struct sg_name_classes *names, const struct sg_class *own);
/* Return the class that an answer's names give its addresses; SG_CLASS_ANY: they are in no group, or classes have no room. */
__u32 sg_name_class_of(struct sg_name_classes *names, struct sg_classes *classes, __u32 told);
/* Return the class together with the names that the port has learnt for the address. */
__u32 sg_name_class_join(struct sg_name_classes *names, struct sg_classes *classes, const struct sg_named_key *key, __u32 class);

#endif
