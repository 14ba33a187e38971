/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Groups by name; see the header. In: the table of names, groups' names. Out: classes. No I/O. */
#include "class/sg_name_class.h"

#include <errno.h>
#include <stdlib.h>

enum { IS_NAMED = 2 };		/* beside 1 in `meets`: the group is of names */

int sg_name_classes_build(struct sg_name_classes *names, __u32 groups, const struct sg_node_fqdn *fqdns, __u32 count)
{
	names->meets = calloc(groups + 1UL, 1);
	if (!names->meets || sg_fqdns_build(&names->fqdns, fqdns, count))
		return -ENOMEM;
	for (__u32 i = 0; i < count; i++)
		names->meets[fqdns[i].group] = IS_NAMED;
	return 0;
}

void sg_name_classes_rule(struct sg_name_classes *names, __u32 source, __u32 target)
{
	if (names->meets[target] & IS_NAMED)
		names->meets[source] |= 1;
	if (names->meets[source] & IS_NAMED)
		names->meets[target] |= 1;
	names->all_meet |= names->meets[0] & 1;
}

void sg_name_classes_net(struct sg_name_classes *names, __u32 group)
{
	names->all_meet |= names->meets[group] & 1;
}

void sg_name_classes_free(struct sg_name_classes *names)
{
	sg_fqdns_free(&names->fqdns);
	free(names->meets);
}

void sg_name_classes_use(struct sg_name_classes *names, struct sg_named_table *table)
{
	names->table = table;
	memset(table->classes, 0, (SG_TOLD + 1) * sizeof(*table->classes));
}

int sg_name_classes_meet(const struct sg_name_classes *names, const struct sg_class *own)
{
	if (!names->fqdns.count || names->all_meet)
		return names->all_meet;
	for (__u32 i = 0; i < own->count; i++)
		if (names->meets[own->groups[i]] & 1)
			return 1;
	return 0;
}

__u32 sg_name_class_of(struct sg_name_classes *names, struct sg_classes *classes, __u32 place)
{
	const struct sg_told *told = &names->table->store->told[place];
	__u32 groups[SG_FQDNS_FOUND], found = 0, class = names->table->classes[place];

	if (class)
		return class;
	for (__u32 at = 0; at < told->length; at += (__u32)strlen(told->text + at) + 1)
		found = sg_fqdns_find(&names->fqdns, told->text + at, groups, found);
	/* The other half is for the questions of flows. */
	if (found && classes->groups <= SG_CLASS_GROUPS_MAX / 2)
		class = sg_class_of(classes, groups, found);
	class = class ? class : SG_CLASS_ANY;
	names->table->classes[place] = class;
	return class;
}

__u32 sg_name_class_join(struct sg_name_classes *names, struct sg_classes *classes, const struct sg_named_key *key, __u32 class)
{
	const struct sg_named_table *table = names->table;
	__u32 both;

	if (!names->fqdns.count || !table)
		return class;
	for (__u32 place = sg_named_first(table, key); place; place = sg_named_next(table, place)) {
		both = sg_class_union(classes, class, sg_name_class_of(names, classes, table->store->named[place].told));
		class = both ? both : class;
	}
	return class;
}
