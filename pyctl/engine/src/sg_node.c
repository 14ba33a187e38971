/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The node's policy; see the header. In: a checked view, questions. Out: the rule that decides. No I/O.
 *
 * An end is in the groups of its CIDRs, by its address, and in those that select its workload: the
 * local end's workload is known by the port, whatever address it uses; the peer's by its address,
 * which is looked up among those that workloads have before any CIDR is asked. Where several workloads
 * have one address, whoever fills it in says in which groups it is.
 *
 * What holds between two classes is compiled when it is first asked. A member that comes or goes
 * changes its class, and no pair. */
#include "sg_node.h"

#include <errno.h>
#include <stdlib.h>

#include "sg_class.h"
#include "sg_decode.h"
#include "sg_nets.h"
#include "sg_pair.h"

/* The rules in which a group is at one end: list[first[group]] and on. */
struct ends {
	__u32 *first;
	__u32 *list;
};

struct sg_node {
	struct sg_hash_key hash_key;
	__u32 groups;
	__u32 rule_count;
	int one_sided;			/* a rule holds at one end alone: pairs differ by direction */
	struct sg_node_rule *rules;
	struct sg_node_spec *specs;
	struct ends sources;
	struct ends targets;
	struct sg_classes classes;
	struct sg_nets nets;
	struct sg_map addresses;	/* class of what workloads have, CIDR groups not yet joined */
	struct sg_map pair_index;	/* by both classes and direction: place in pairs, + 1 */
	struct sg_pair **pairs;
	__u32 pair_count;
	__u32 pair_room;
	__u64 pair_bytes;
	__u64 *marks;			/* two bits for each rule, in two rows; zero between uses */
	__u32 ports[SEG_PORT_IDS];	/* classes; 0: nobody said */
};

static int index_ends(struct ends *ends, const struct sg_node_rule *rules, __u32 count, __u32 groups,
		      int targets)
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

static void *copy(const void *from, size_t size)
{
	void *to = malloc(size + 1);

	if (to)
		memcpy(to, from, size);
	return to;
}

static int fill(struct sg_node *node, const struct sg_node_view *view)
{
	const struct sg_node_head *head = view->head;
	int error = sg_classes_init(&node->classes, &node->hash_key);

	node->groups = head->groups;
	node->rule_count = head->rules;
	node->rules = copy(view->rules, head->rules * sizeof(*node->rules));
	node->specs = copy(view->specs, head->specs * sizeof(*node->specs));
	node->marks = calloc(2 * (head->rules / 64 + 1ULL), sizeof(*node->marks));
	if (error || !node->rules || !node->specs || !node->marks)
		return -ENOMEM;
	for (__u32 i = 0; i < head->rules; i++)
		node->one_sided |= node->rules[i].dir;
	if (index_ends(&node->sources, node->rules, head->rules, head->groups, 0) ||
	    index_ends(&node->targets, node->rules, head->rules, head->groups, 1))
		return -ENOMEM;
	error = sg_nets_build(&node->nets, &node->classes, view->cidrs, head->cidrs);
	return error ? error : sg_node_members_set(node, view);
}

int sg_node_build(const __u64 hash_key[2], const struct sg_node_view *view, struct sg_node **out)
{
	struct sg_node *node = calloc(1, sizeof(*node));
	int error;

	if (!node)
		return -ENOMEM;
	memcpy(node->hash_key.k, hash_key, sizeof(node->hash_key.k));
	error = fill(node, view);
	if (error)
		sg_node_free(node);
	else
		*out = node;
	return error;
}

static void drop_pairs(struct sg_node *node)
{
	for (__u32 i = 0; i < node->pair_count; i++)
		free(node->pairs[i]);
	node->pair_count = 0;
	node->pair_bytes = 0;
	sg_map_clear(&node->pair_index);
}

void sg_node_free(struct sg_node *node)
{
	if (!node)
		return;
	drop_pairs(node);
	free(node->pairs);
	sg_map_clear(&node->addresses);
	sg_nets_free(&node->nets);
	sg_classes_free(&node->classes);
	free(node->sources.first);
	free(node->sources.list);
	free(node->targets.first);
	free(node->targets.list);
	free(node->marks);
	free(node->rules);
	free(node->specs);
	free(node);
}

static void address_key(__u8 family, const __u8 *address, __u64 key[3])
{
	memcpy(key, address, 16);
	if (family == SEG_FAMILY_IPV4)
		memset((__u8 *)key + 4, 0, 12);
	key[2] = family;
}

static int member_set(struct sg_node *node, const struct sg_member *member, const __u32 *groups)
{
	__u32 class = 0;
	__u64 key[3];

	if (member->groups) {
		class = sg_class_of(&node->classes, groups + member->first_group, member->groups);
		if (!class)
			return -ENOMEM;
	}
	if (!member->family) {
		node->ports[member->port_id] = class;
		return 0;
	}
	address_key(member->family, member->address, key);
	return sg_map_put(&node->addresses, &node->hash_key, key, class);
}

int sg_node_members_set(struct sg_node *node, const struct sg_node_view *view)
{
	int error = 0;

	if (view->head->groups != node->groups)
		return -EINVAL;
	for (__u32 i = 0; i < view->head->members && !error; i++)
		error = member_set(node, &view->members[i], view->groups);
	return error;
}

void sg_node_port_delete(struct sg_node *node, __u16 port_id)
{
	node->ports[port_id] = SG_CLASS_NONE;
}

/* Marks the rules of `ends` that a group of the class is in, and, with `among`, that are in it too. */
static void mark(const struct ends *ends, const struct sg_class *class, const __u64 *among,
		 __u64 *marks)
{
	for (__u32 g = 0; g < class->count; g++)
		for (__u32 i = ends->first[class->groups[g]]; i < ends->first[class->groups[g] + 1]; i++) {
			__u32 rule = ends->list[i];
			__u64 bit = 1ULL << (rule % 64);

			if (!among || among[rule / 64] & bit)
				marks[rule / 64] |= bit;
		}
}

static struct sg_pair *compile_pair(struct sg_node *node, __u32 source, __u32 target, __u8 dir)
{
	__u32 words = node->rule_count / 64 + 1, count = 0, found = 0;
	__u64 *sources = node->marks, *both = node->marks + words;
	struct sg_pair *pair = NULL;
	__u32 *candidates;

	mark(&node->sources, &node->classes.all[source], NULL, sources);
	mark(&node->targets, &node->classes.all[target], sources, both);
	for (__u32 w = 0; w < words; w++)
		count += (__u32)__builtin_popcountll(both[w]);
	candidates = malloc((count + 1ULL) * sizeof(*candidates));
	if (candidates) {
		for (__u32 w = 0; w < words; w++)
			for (__u64 left = both[w]; left; left &= left - 1) {
				__u32 rule = w * 64 + (__u32)__builtin_ctzll(left);

				if (!node->rules[rule].dir || node->rules[rule].dir == dir)
					candidates[found++] = rule;
			}
		pair = sg_pair_compile(node->rules, node->specs, candidates, found);
	}
	free(candidates);
	memset(node->marks, 0, 2ULL * words * sizeof(*node->marks));
	return pair;
}

static int keep_pair(struct sg_node *node, const __u64 key[3], struct sg_pair *pair)
{
	struct sg_pair **grown;
	__u32 room = 2 * (node->pair_room + 8);

	if (node->pair_count == node->pair_room) {
		grown = realloc(node->pairs, sizeof(struct sg_pair *) * room);
		if (!grown)
			return -ENOMEM;
		node->pairs = grown;
		node->pair_room = room;
	}
	if (sg_map_put(&node->pair_index, &node->hash_key, key, node->pair_count + 1))
		return -ENOMEM;
	node->pairs[node->pair_count++] = pair;
	node->pair_bytes += sg_pair_size(pair) + sizeof(struct sg_map_slot) * 4;
	return 0;
}

/* NULL: no memory. */
static const struct sg_pair *pair_of(struct sg_node *node, __u32 source, __u32 target, __u8 dir)
{
	__u64 key[3] = { (__u64)source << 32 | target, node->one_sided ? dir : 0, 0 };
	__u32 found = sg_map_get(&node->pair_index, &node->hash_key, key);
	struct sg_pair *pair;

	if (found)
		return node->pairs[found - 1];
	if (node->pair_bytes > SG_NODE_PAIR_BYTES)
		drop_pairs(node);
	pair = compile_pair(node, source, target, dir);
	if (pair && keep_pair(node, key, pair)) {
		free(pair);
		return NULL;
	}
	return pair;
}

static __u32 local_class(struct sg_node *node, __u16 port_id, const struct sg_question *q)
{
	__u32 own = node->ports[port_id];
	__u32 by_address = sg_nets_find(&node->nets, q->family, q->local);

	return own ? sg_class_union(&node->classes, own, by_address) : by_address;
}

static __u32 peer_class(struct sg_node *node, const struct sg_question *q)
{
	__u32 by_address = sg_nets_find(&node->nets, q->family, q->peer), known;
	__u64 key[3];

	address_key(q->family, q->peer, key);
	known = sg_map_get(&node->addresses, &node->hash_key, key);
	return known ? sg_class_union(&node->classes, known, by_address) : by_address;
}

static enum sg_pair_table table_of(const struct sg_question *q)
{
	switch (q->proto) {
	case SG_PROTO_TCP:
		return SG_PAIR_TCP;
	case SG_PROTO_UDP:
		return SG_PAIR_UDP;
	case SG_PROTO_ICMP:
		return q->family == SEG_FAMILY_IPV4 ? SG_PAIR_ICMP : SG_PAIR_OTHER;
	case SG_PROTO_ICMPV6:
		return q->family == SEG_FAMILY_IPV6 ? SG_PAIR_ICMPV6 : SG_PAIR_OTHER;
	default:
		return SG_PAIR_OTHER;
	}
}

int sg_node_ask(struct sg_node *node, __u16 port_id, const struct sg_question *q,
		struct sg_found *found)
{
	__u32 local = local_class(node, port_id, q), peer = peer_class(node, q), at;
	enum sg_pair_table table = table_of(q);
	__u16 port = table == SG_PAIR_OTHER ? 0 : q->port;
	const struct sg_pair *pair;
	int out = q->dir == SEG_DIR_EGRESS;

	*found = (struct sg_found){ NULL, NULL };
	if (!local || !peer)
		return -ENOMEM;
	pair = pair_of(node, out ? local : peer, out ? peer : local, q->dir);
	if (!pair)
		return -ENOMEM;
	at = sg_pair_find(pair, table, port);
	if (at)
		found->rule = &node->rules[at - 1];
	at = sg_pair_find(pair, table + SG_PAIR_STAGED, port);
	if (at && node->rules[at - 1].flags & SG_RULE_STAGED)
		found->staged = &node->rules[at - 1];
	return 0;
}
