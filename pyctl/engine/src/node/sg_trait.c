/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Interned combinations of application and conditions; see the header. In: facts. Out: numbers. No I/O. */
#include "node/sg_trait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/sg_apps.h"

static void *copy(const void *from, size_t size)
{
	void *to = malloc(size + 1);

	if (to && size)
		memcpy(to, from, size);
	return to;
}

int sg_traits_init(struct sg_traits *traits, const struct sg_hash_key *hash_key, const struct sg_node_condition *conditions,
		   __u32 count, const __u8 *texts, __u32 length)
{
	traits->hash_key = *hash_key;
	traits->condition_count = count;
	traits->conditions = copy(conditions, count * sizeof(*conditions));
	traits->texts = copy(texts, length);
	traits->set = calloc(2ULL * count + 1, sizeof(*traits->set));
	traits->since_ns = calloc(count + 1ULL, sizeof(*traits->since_ns));
	if (!traits->since_ns || !traits->conditions || !traits->texts || !traits->set)
		return -ENOMEM;
	return sg_classes_init(&traits->sets, hash_key);
}

static void drop(struct sg_traits *traits)
{
	sg_classes_free(&traits->sets);
	sg_map_clear(&traits->index);
	free(traits->all);
	traits->all = NULL;
	traits->count = traits->room = 0;
}

void sg_traits_free(struct sg_traits *traits)
{
	drop(traits);
	free(traits->conditions);
	free(traits->texts);
	free(traits->since_ns);
	free(traits->set);
}

void sg_traits_follow(struct sg_traits *traits, const struct sg_traits *former, __u64 now_ns)
{
	__u32 at = 0;

	for (__u32 i = 0; i < traits->condition_count; i++) {
		__u64 key = traits->conditions[i].key;

		while (at < former->condition_count && former->conditions[at].key < key)
			at++;
		traits->since_ns[i] = at < former->condition_count && former->conditions[at].key == key ?
					      former->since_ns[at] : now_ns;
	}
}

int sg_traits_forget(struct sg_traits *traits)
{
	drop(traits);
	return sg_classes_init(&traits->sets, &traits->hash_key);
}

static int add(struct sg_traits *traits, const __u64 key[3], struct sg_trait trait)
{
	__u32 room = 2 * (traits->room + 8);
	struct sg_trait *grown;

	if (traits->count == SG_TRAITS_MAX)
		return -ENOSPC;
	if (traits->count == traits->room) {
		grown = realloc(traits->all, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		traits->all = grown;
		traits->room = room;
	}
	traits->all[traits->count] = trait;
	if (sg_map_put(&traits->index, &traits->hash_key, key, SG_TRAIT_FIRST + traits->count))
		return -ENOMEM;
	traits->count++;
	return 0;
}

/* What a flow showed is not known any more when a rule that denies asks for it for the first time. */
static enum sg_holds judge(const struct sg_traits *traits, __u32 i, const struct sg_facts *facts)
{
	const struct sg_node_condition *condition = &traits->conditions[i];

	if (facts->as_of_ns && condition->denies && traits->since_ns[i] > facts->as_of_ns)
		return SG_HOLDS;
	return sg_condition_judge(condition, traits->texts, facts);
}

int sg_trait_of(struct sg_traits *traits, __u8 app, const struct sg_facts *facts, __u32 *trait)
{
	__u32 *holds = traits->set, *open = traits->set + traits->condition_count, held = 0, opened = 0;
	struct sg_trait both;
	int error;

	*trait = app;
	if (app == SG_APP_UNKNOWN && facts && facts->broken >> SG_FIELD_NAME & 1 && !facts->any_name)
		*trait = SG_TRAIT_HIDES;
	if (!facts || app == SG_APP_NONE || app == SG_APP_UNKNOWN)
		return 0;
	for (__u32 i = 0; i < traits->condition_count; i++) {
		enum sg_holds one = judge(traits, i, facts);

		if (one == SG_HOLDS)
			holds[held++] = i + 1;
		else if (one == SG_HOLDS_OPEN)
			open[opened++] = i + 1;
	}
	if (!held && !opened)
		return 0;
	if (traits->sets.groups + held + opened + 2ULL > SG_CLASS_GROUPS_MAX / 2)
		return -ENOSPC;
	both.holds = sg_class_of(&traits->sets, holds, held);
	both.open = sg_class_of(&traits->sets, open, opened);
	if (!both.holds || !both.open)
		return -ENOMEM;

	const __u64 key[3] = { (__u64)both.holds << 32 | both.open, app, 0 };

	*trait = sg_map_get(&traits->index, &traits->hash_key, key);
	if (*trait)
		return 0;
	error = add(traits, key, both);
	*trait = SG_TRAIT_FIRST + traits->count - 1;
	return error;
}

static int has(const struct sg_class *set, __u32 condition)
{
	__u32 from = 0, count = set->count;

	while (count > 1) {
		__u32 half = count / 2;

		if (set->groups[from + half] <= condition) {
			from += half;
			count -= half;
		} else {
			count = half;
		}
	}
	return set->groups[from] == condition;
}

enum sg_holds sg_trait_holds(const struct sg_traits *traits, __u32 trait, __u32 condition)
{
	const struct sg_trait *both;

	if (!condition)
		return SG_HOLDS;
	if (trait < SG_TRAIT_FIRST)
		return SG_HOLDS_NOT;
	both = &traits->all[trait - SG_TRAIT_FIRST];
	if (has(&traits->sets.all[both->holds], condition))
		return SG_HOLDS;
	return has(&traits->sets.all[both->open], condition) ? SG_HOLDS_OPEN : SG_HOLDS_NOT;
}
