/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Names of groups; see the header. In: names. Out: groups. No I/O. */
#include "names/sg_fqdns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const struct sg_node_fqdn *one = a, *other = b;

	return strcmp(one->name, other->name);
}

int sg_fqdns_build(struct sg_fqdns *fqdns, const struct sg_node_fqdn *from, __u32 count)
{
	*fqdns = (struct sg_fqdns){ .count = count, .all = malloc((count + 1UL) * sizeof(*from)) };
	if (!fqdns->all)
		return -ENOMEM;
	if (count)
		memcpy(fqdns->all, from, count * sizeof(*from));
	qsort(fqdns->all, count, sizeof(*from), compare);
	return 0;
}

void sg_fqdns_free(struct sg_fqdns *fqdns)
{
	free(fqdns->all);
	*fqdns = (struct sg_fqdns){ 0 };
}

/* Return the place of the first that is not before the name. */
static __u32 lower_bound(const struct sg_fqdns *fqdns, const char *name)
{
	__u32 from = 0, count = fqdns->count;

	while (count) {
		__u32 half = count / 2;

		if (strcmp(fqdns->all[from + half].name, name) < 0) {
			from += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return from;
}

static __u32 find_one(const struct sg_fqdns *fqdns, const char *name, int subdomains, __u32 *groups, __u32 found)
{
	for (__u32 i = lower_bound(fqdns, name); i < fqdns->count && !strcmp(fqdns->all[i].name, name); i++)
		if (fqdns->all[i].subdomains == subdomains && found < SG_FQDNS_FOUND)
			groups[found++] = fqdns->all[i].group;
	return found;
}

__u32 sg_fqdns_find(const struct sg_fqdns *fqdns, const char *name, __u32 *groups, __u32 found)
{
	found = find_one(fqdns, name, 0, groups, found);
	for (name = strchr(name, '.'); name; name = strchr(name, '.'))
		found = find_one(fqdns, ++name, 1, groups, found);
	return found;
}
