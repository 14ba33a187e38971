/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Interned sets of groups; see the header. In: group numbers. Out: class numbers. No I/O. */
#include "class/sg_class.h"

#include <errno.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const __u32 *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

/* The class of a sorted set that has been copied for it; owns `groups` from now on. */
static __u32 intern(struct sg_classes *classes, __u32 *groups, __u32 count)
{
	/* The hash takes whole words: after an odd count there is a zero. */
	__u64 key[3] = {
		sg_hash(&classes->hash_key, groups, (count + 1) / 2 * 8), count, 0,
	};
	struct sg_class *grown;
	__u32 found;

	while ((found = sg_map_get(&classes->by_set, &classes->hash_key, key))) {
		const struct sg_class *known = &classes->all[found];

		if (known->count == count && !memcmp(known->groups, groups, count * 4ULL)) {
			free(groups);
			return found;
		}
		key[2]++;
	}
	if (classes->groups + count > SG_CLASS_GROUPS_MAX)
		goto no_memory;
	if (classes->count >= classes->room) {
		grown = realloc(classes->all, sizeof(*grown) * (classes->room + 1) * 2);
		if (!grown)
			goto no_memory;
		classes->all = grown;
		classes->room = (classes->room + 1) * 2;
	}
	if (sg_map_put(&classes->by_set, &classes->hash_key, key, classes->count))
		goto no_memory;
	classes->all[classes->count] = (struct sg_class){ groups, count };
	classes->groups += count;
	return classes->count++;
no_memory:
	free(groups);
	return SG_CLASS_NONE;
}

__u32 sg_class_of(struct sg_classes *classes, const __u32 *groups, __u32 count)
{
	__u32 *set = calloc(count + 2ULL, sizeof(*set)), kept = 1;

	if (!set)
		return SG_CLASS_NONE;
	if (count)
		memcpy(set + 1, groups, count * sizeof(*set));
	qsort(set, count + 1ULL, sizeof(*set), compare);
	for (__u32 i = 1; i <= count; i++)
		if (set[i] != set[kept - 1])
			set[kept++] = set[i];
	memset(set + kept, 0, (count + 2ULL - kept) * sizeof(*set));
	return intern(classes, set, kept);
}

int sg_classes_init(struct sg_classes *classes, const struct sg_hash_key *hash_key)
{
	*classes = (struct sg_classes){ .hash_key = *hash_key, .count = SG_CLASS_ANY };
	return sg_class_of(classes, NULL, 0) == SG_CLASS_ANY ? 0 : -ENOMEM;
}

void sg_classes_free(struct sg_classes *classes)
{
	for (__u32 i = SG_CLASS_ANY; classes->all && i < classes->count; i++)
		free(classes->all[i].groups);
	free(classes->all);
	sg_map_clear(&classes->by_set);
	sg_map_clear(&classes->unions);
}

__u32 sg_class_union(struct sg_classes *classes, __u32 one, __u32 other)
{
	__u64 key[3] = { (__u64)one << 32 | other, 0, 0 };
	__u32 found, *both;

	if (one == other || other == SG_CLASS_ANY)
		return one;
	if (one == SG_CLASS_ANY)
		return other;
	found = sg_map_get(&classes->unions, &classes->hash_key, key);
	if (found)
		return found;
	const struct sg_class a = classes->all[one], b = classes->all[other];

	both = malloc((a.count + (size_t)b.count) * sizeof(*both));
	if (!both)
		return SG_CLASS_NONE;
	memcpy(both, a.groups, a.count * sizeof(*both));
	memcpy(both + a.count, b.groups, b.count * sizeof(*both));
	found = sg_class_of(classes, both, a.count + b.count);
	free(both);
	/* Without memory the union is computed each time. */
	if (found)
		sg_map_put(&classes->unions, &classes->hash_key, key, found);
	return found;
}
