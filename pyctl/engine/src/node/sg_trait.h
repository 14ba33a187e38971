/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Traits: what was seen of a flow, as far as the node's rules tell it apart: its application, the conditions that hold, and
 * those that are not decided yet. Each combination has one number, so that what was compiled for it is found again. */
#ifndef SG_TRAIT_H
#define SG_TRAIT_H

#include "condition/sg_condition.h"
#include "class/sg_class.h"

enum sg_trait_limit {
	SG_TRAIT_HIDES = 62,		/* an unknown application that may hide a name; no enum sg_app */
	SG_TRAIT_FIRST = 64,		/* below, it is the application alone (enum sg_app), and no condition holds */
	SG_TRAITS_MAX = 65536,
	SG_CONDITIONS_MAX = 4096,
};

struct sg_trait {
	__u32 holds;		/* sets of conditions, index + 1 */
	__u32 open;
};

struct sg_traits {
	struct sg_node_condition *conditions;
	__u8 *texts;
	__u64 *since_ns;	/* of each condition: when it came into force; 0: with the first policy */
	__u32 condition_count;
	struct sg_hash_key hash_key;
	struct sg_classes sets;
	struct sg_map index;
	struct sg_trait *all;	/* from SG_TRAIT_FIRST on */
	__u32 count;
	__u32 room;
	__u32 *set;		/* two sets of conditions, while they are made */
};

/* Copy the conditions. Returns 0 or -ENOMEM. */
int sg_traits_init(struct sg_traits *traits, const struct sg_hash_key *hash_key, const struct sg_node_condition *conditions,
		   __u32 count, const __u8 *texts, __u32 length);
void sg_traits_free(struct sg_traits *traits);
/* Take over since when the former policy's conditions were in force; the others are from now on. */
void sg_traits_follow(struct sg_traits *traits, const struct sg_traits *former, __u64 now_ns);
/* Forget all numbers. Returns 0 or -ENOMEM. */
int sg_traits_forget(struct sg_traits *traits);
/* Set *trait for the application and facts (NULL: nothing but the application). Returns 0; -ENOMEM; -ENOSPC: there are too
 * many to add one. */
int sg_trait_of(struct sg_traits *traits, __u8 app, const struct sg_facts *facts, __u32 *trait);
/* Return what the trait says of a rule's condition, which is an index + 1, or 0: none. */
enum sg_holds sg_trait_holds(const struct sg_traits *traits, __u32 trait, __u32 condition);

#endif
