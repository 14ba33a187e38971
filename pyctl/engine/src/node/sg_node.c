/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The node's policy; see the header. In: a checked view, questions. Out: the rule that decides. No I/O.
 *
 * An end is in the CIDR groups of its address and in the groups that select its workload. The port tells the local
 * workload, whatever address it uses; the peer's workload is looked up by address before any CIDR. If several workloads
 * have the address, the peer is one on the port's own segment; if none is there, it may be any, and the strictest answer
 * holds.
 *
 * The rules between two classes are compiled at the first query. A change of members changes classes, but no pair. */
#include "node/sg_node.h"

#include <errno.h>
#include <stdlib.h>

#include "class/sg_name_class.h"
#include "class/sg_nets.h"
#include "packet/sg_packet.h"
#include "node/sg_ends.h"
#include "node/sg_node_apps.h"
#include "node/sg_pair.h"
#include "node/sg_trait.h"
#include "sensor/sg_sensors.h"

struct holder {
	__u32 class;
	__u32 segment;		/* 0: not known */
};

/* The holders of an address that several workloads have: one for each workload and segment. */
struct holders {
	struct holder *all;
	__u32 count;		/* 0: a free place */
};

/* In sg_node.addresses: no class, but a place in sg_node.shared. */
enum { SHARED = 1U << 31 };

struct sg_node {
	struct sg_hash_key hash_key;
	__u32 groups;
	__u32 rule_count;
	int one_sided;			/* a rule holds at one end only, so pairs differ by direction */
	int by_app;			/* a rule is for applications, or for names, so pairs differ by trait */
	struct sg_node_rule *rules;
	struct sg_node_spec *specs;
	struct sg_ends sources;
	struct sg_ends targets;
	struct sg_classes classes;
	struct sg_traits traits;
	struct sg_nets nets;
	struct sg_name_classes names;
	struct sg_sensors *sensors;	/* until the core takes them */
	struct sg_map addresses;	/* class of what workloads have, CIDR groups not yet joined; or SHARED */
	struct holders *shared;
	__u32 shared_room;
	struct sg_map pair_index;	/* by both classes, direction and trait: place in pairs, + 1 */
	struct sg_pair **pairs;
	__u32 pair_count;
	__u32 pair_room;
	__u64 pair_bytes;
	__u64 *marks;			/* two bits for each rule, in two rows; zero between uses */
	__u32 ports[SEG_PORT_IDS];	/* classes; 0: not known */
};

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

	if (!error)
		error = sg_traits_init(&node->traits, &node->hash_key, view->conditions, head->conditions, view->texts, head->texts);
	node->groups = head->groups;
	node->rule_count = head->rules;
	node->rules = copy(view->rules, head->rules * sizeof(*node->rules));
	node->specs = copy(view->specs, head->specs * sizeof(*node->specs));
	node->marks = calloc(2 * (head->rules / 64 + 1ULL), sizeof(*node->marks));
	if (error || !node->rules || !node->specs || !node->marks)
		return -ENOMEM;
	for (__u32 i = 0; i < head->rules; i++) {
		node->one_sided |= node->rules[i].dir;
		node->by_app |= node->rules[i].apps || node->rules[i].condition;
	}
	if (sg_ends_index(&node->sources, node->rules, head->rules, head->groups, 0) ||
	    sg_ends_index(&node->targets, node->rules, head->rules, head->groups, 1))
		return -ENOMEM;
	if (sg_name_classes_build(&node->names, head->groups, view->fqdns, head->fqdns))
		return -ENOMEM;
	for (__u32 i = 0; i < head->rules; i++)
		sg_name_classes_rule(&node->names, node->rules[i].source, node->rules[i].target);
	for (__u32 i = 0; i < head->cidrs; i++)
		sg_name_classes_net(&node->names, view->cidrs[i].group);
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
	if (!error)
		error = sg_sensors_build(view->sensors, view->head->sensors, &node->sensors);
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
	sg_sensors_free(node->sensors);
	free(node->pairs);
	sg_map_clear(&node->addresses);
	for (__u32 i = 0; i < node->shared_room; i++)
		free(node->shared[i].all);
	free(node->shared);
	sg_nets_free(&node->nets);
	sg_name_classes_free(&node->names);
	sg_classes_free(&node->classes);
	sg_traits_free(&node->traits);
	sg_ends_free(&node->sources);
	sg_ends_free(&node->targets);
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

/* A place for the holders of one more address, its number in *place. 0 or -ENOMEM. */
static int shared_place(struct sg_node *node, __u32 *place)
{
	__u32 room = 2 * (node->shared_room + 4);
	struct holders *grown;

	for (__u32 i = 0; i < node->shared_room; i++)
		if (!node->shared[i].count) {
			*place = i;
			return 0;
		}
	grown = realloc(node->shared, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + node->shared_room, 0, (room - node->shared_room) * sizeof(*grown));
	*place = node->shared_room;
	node->shared = grown;
	node->shared_room = room;
	return 0;
}

static int add_holder(struct holders *holders, struct holder one)
{
	struct holder *grown;

	grown = realloc(holders->all, (holders->count + 1ULL) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[holders->count++] = one;
	holders->all = grown;
	return 0;
}

/* Add a holder of the address. Returns 0 or -ENOMEM. */
static int share_address(struct sg_node *node, const __u64 key[3], struct holder one)
{
	__u32 known = sg_map_get(&node->addresses, &node->hash_key, key), place;
	int error;

	if (known & SHARED)
		return add_holder(&node->shared[known & ~SHARED], one);
	error = shared_place(node, &place);
	if (!error)
		error = add_holder(&node->shared[place], one);
	return error ? error :
		       sg_map_put(&node->addresses, &node->hash_key, key, place | SHARED);
}

/* Set the only holder of the address, or the first of several. */
static int set_address(struct sg_node *node, const __u64 key[3], __u32 class)
{
	__u32 known = sg_map_get(&node->addresses, &node->hash_key, key);

	if (known & SHARED)
		node->shared[known & ~SHARED].count = 0;
	return sg_map_put(&node->addresses, &node->hash_key, key, class);
}

static int member_set(struct sg_node *node, const struct sg_member *member, const __u32 *groups)
{
	__u32 class = 0;
	__u64 key[3];
	int error;

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
	error = member->holder == SG_HOLDER_ALSO ? 0 : set_address(node, key, class);
	if (error || member->holder == SG_HOLDER_ALONE)
		return error;
	return share_address(node, key, (struct holder){ class, member->segment });
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

void sg_node_follow(struct sg_node *node, const struct sg_node *former, __u64 now_ns)
{
	sg_traits_follow(&node->traits, &former->traits, now_ns);
}

struct sg_sensors **sg_node_sensors(struct sg_node *node)
{
	return &node->sensors;
}

void sg_node_port_delete(struct sg_node *node, __u16 port_id)
{
	node->ports[port_id] = SG_CLASS_NONE;
}

/* Whether the rule can match a flow of this application and trait. */
static int takes(const struct sg_node *node, const struct sg_node_rule *rule, __u8 app, __u32 trait)
{
	if (!sg_node_takes(rule, app))
		return 0;
	if (app == SG_APP_UNKNOWN)
		return trait != SG_TRAIT_HIDES || !(rule->flags & SG_RULE_VERIFIES);
	return app == SG_APP_NONE || sg_trait_holds(&node->traits, trait, rule->condition);
}

static struct sg_pair *compile_pair(struct sg_node *node, __u32 source, __u32 target, const struct sg_policy_query *q,
				    __u32 trait)
{
	__u32 words = node->rule_count / 64 + 1, count = 0, found = 0;
	__u64 *sources = node->marks, *both = node->marks + words;
	struct sg_pair *pair = NULL;
	__u32 *candidates, by_facts = 0;

	sg_ends_mark(&node->sources, &node->classes.all[source], NULL, sources);
	sg_ends_mark(&node->targets, &node->classes.all[target], sources, both);
	for (__u32 w = 0; w < words; w++)
		count += (__u32)__builtin_popcountll(both[w]);
	candidates = malloc((count + 1ULL) * sizeof(*candidates));
	if (candidates) {
		for (__u32 w = 0; w < words; w++)
			for (__u64 left = both[w]; left; left &= left - 1) {
				__u32 rule = w * 64 + (__u32)__builtin_ctzll(left);

				if (node->rules[rule].dir && node->rules[rule].dir != q->dir)
					continue;
				if (sg_node_takes(&node->rules[rule], q->app))
					by_facts |= node->rules[rule].condition;
				if (takes(node, &node->rules[rule], q->app, trait))
					candidates[found++] = rule;
			}
		pair = sg_pair_compile(node->rules, node->specs, candidates, found);
		if (pair)
			pair->by_facts = by_facts;
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
static const struct sg_pair *pair_of(struct sg_node *node, __u32 source, __u32 target, const struct sg_policy_query *q,
				     __u32 trait)
{
	__u64 key[3] = { (__u64)source << 32 | target, node->one_sided ? q->dir : 0, node->by_app ? trait : 0 };
	__u32 found = sg_map_get(&node->pair_index, &node->hash_key, key);
	struct sg_pair *pair;

	if (found)
		return node->pairs[found - 1];
	if (node->pair_bytes > SG_NODE_PAIR_BYTES)
		drop_pairs(node);
	pair = compile_pair(node, source, target, q, trait);
	if (pair && keep_pair(node, key, pair)) {
		free(pair);
		return NULL;
	}
	return pair;
}

static __u32 local_class(struct sg_node *node, __u16 port_id, const struct sg_policy_query *q)
{
	__u32 own = node->ports[port_id];
	__u32 by_address = sg_nets_find(&node->nets, q->family, q->local);

	return own ? sg_class_union(&node->classes, own, by_address) : by_address;
}

void sg_node_use_names(struct sg_node *node, struct sg_named_table *table)
{
	sg_name_classes_use(&node->names, table);
}

int sg_node_uses_names(const struct sg_node *node, __u16 port_id)
{
	return sg_name_classes_meet(&node->names, &node->classes.all[node->ports[port_id] ? node->ports[port_id] : SG_CLASS_ANY]);
}

__u32 sg_node_groups_of(const struct sg_node *node, const char *name, __u32 *groups)
{
	return sg_fqdns_find(&node->names.fqdns, name, groups, 0);
}

__u32 sg_node_class_of_told(struct sg_node *node, __u32 told)
{
	return sg_name_class_of(&node->names, &node->classes, told);
}

/* The class of the peer by its address alone, and by the names that the port knows it by. */
static __u32 class_by_address(struct sg_node *node, __u16 port_id, const struct sg_policy_query *q)
{
	struct sg_named_key key = { .port_id = port_id, .family = q->family };

	memcpy(key.address, q->peer, q->family == SEG_FAMILY_IPV4 ? 4 : sizeof(key.address));
	return sg_name_class_join(&node->names, &node->classes, &key, sg_nets_find(&node->nets, q->family, q->peer));
}

/* The classes that the peer may have: one for each holder of its address. */
static struct holders peers_of(const struct sg_node *node, const struct sg_policy_query *q, struct holder *alone)
{
	__u64 key[3];

	address_key(q->family, q->peer, key);
	alone->class = sg_map_get(&node->addresses, &node->hash_key, key);
	if (alone->class & SHARED)
		return node->shared[alone->class & ~SHARED];
	return (struct holders){ alone, 1 };
}

/* Whether a holder is on the segment: then the peer is that one. */
static int is_near(const struct holders *holders, __u32 segment)
{
	for (__u32 i = 0; segment && i < holders->count; i++)
		if (holders->all[i].segment == segment)
			return 1;
	return 0;
}

__u32 sg_node_peer_class(struct sg_node *node, __u8 family, const __u8 *address, int *own)
{
	int named = node->names.table && sg_named_is_marked(node->names.table, family, address);
	__u32 class, by_address;
	__u64 key[3];

	address_key(family, address, key);
	class = sg_map_get(&node->addresses, &node->hash_key, key);
	if (own)
		*own = named || class != SG_CLASS_NONE || sg_nets_has(&node->nets, family, address);
	/* What classes may take of memory is the questions' in the first place. */
	if (named || class & SHARED || node->classes.groups > SG_CLASS_GROUPS_MAX / 2)
		return SG_CLASS_NONE;
	by_address = sg_nets_find(&node->nets, family, address);
	return class ? sg_class_union(&node->classes, class, by_address) : by_address;
}

struct seg_class_key sg_class_key(__u8 family, const __u8 *address, __u8 length)
{
	struct seg_class_key key = {
		.prefix_len = 8 * (sizeof(key.version) + sizeof(key.family)) + (__u32)length, .family = family,
	};

	memcpy(key.addr, address, family == SEG_FAMILY_IPV4 ? 4 : sizeof(key.addr));
	return key;
}

int sg_node_classes(struct sg_node *node, int (*put)(void *ctx, const struct seg_class_key *key, __u32 class),
		    void *ctx)
{
	static const __u8 families[2] = { SEG_FAMILY_IPV4, SEG_FAMILY_IPV6 };
	struct seg_class_key key;
	int error = 0;

	for (int which = 0; which < 2; which++)
		for (__u32 i = 0; i < node->nets.prefix_counts[which] && !error; i++) {
			const struct sg_network *prefix = &node->nets.prefixes[which][i];
			__u8 address[16];

			for (int word = 0; word < 4; word++)
				sg_put32(address + 4 * word, (__u32)(prefix->net[word / 2] >> (word & 1 ? 0 : 32)));
			key = sg_class_key(families[which], address, prefix->length);
			error = put(ctx, &key, prefix->class);
		}
	for (__u32 i = 0; i < node->addresses.size && !error; i++) {
		const struct sg_map_slot *slot = &node->addresses.slots[i];
		__u8 family = (__u8)slot->key[2], address[16];

		if (!slot->value)
			continue;
		memcpy(address, slot->key, sizeof(address));
		key = sg_class_key(family, address, family == SEG_FAMILY_IPV4 ? 32 : 128);
		error = put(ctx, &key, sg_node_peer_class(node, family, address, NULL));
	}
	return error;
}

static enum sg_pair_table table_of(const struct sg_policy_query *q)
{
	switch (q->proto) {
	case SG_PROTO_TCP:
		return SG_PAIR_TCP;
	case SG_PROTO_UDP:
		return SG_PAIR_UDP;
	case SG_PROTO_SCTP:
		return SG_PAIR_SCTP;
	case SG_PROTO_ICMP:
		return q->family == SEG_FAMILY_IPV4 ? SG_PAIR_ICMP : SG_PAIR_OTHER;
	case SG_PROTO_ICMPV6:
		return q->family == SEG_FAMILY_IPV6 ? SG_PAIR_ICMPV6 : SG_PAIR_OTHER;
	default:
		return SG_PAIR_OTHER;
	}
}

/* Whether it is not known yet that a rule that was found matches. */
static int is_open(const struct sg_node *node, const struct sg_node_rule *rule, __u8 app, __u32 trait)
{
	if (app == SG_APP_NONE)
		return rule->apps || rule->condition;
	return app < SG_APP_UNKNOWN && sg_trait_holds(&node->traits, trait, rule->condition) == SG_HOLDS_OPEN;
}

/* Find the rules between the local end and one class of the peer. Returns 0 or -ENOMEM. */
static int ask_one(struct sg_node *node, const struct sg_policy_query *q, __u32 trait, __u32 local, __u32 peer,
		   struct sg_found *found)
{
	enum sg_pair_table table = table_of(q);
	__u16 port = table == SG_PAIR_OTHER ? 0 : q->port;
	int out = q->dir == SEG_DIR_EGRESS;
	const struct sg_pair *pair;
	__u32 at;

	*found = (struct sg_found){ 0 };
	if (!local || !peer)
		return -ENOMEM;
	pair = pair_of(node, out ? local : peer, out ? peer : local, q, trait);
	if (!pair)
		return -ENOMEM;
	found->by_facts = !!pair->by_facts;
	at = sg_pair_find(pair, table, port);
	if (at)
		found->rule = &node->rules[at - 1];
	at = sg_pair_find(pair, table + SG_PAIR_STAGED, port);
	if (at && node->rules[at - 1].flags & SG_RULE_STAGED)
		found->staged = &node->rules[at - 1];
	if (found->staged && is_open(node, found->staged, q->app, trait)) {
		/* Whether it matches is not known, and nobody waits to know. */
		found->staged = NULL;
		found->needs_app = SG_NEED_LOOK;
	}
	if (found->rule && is_open(node, found->rule, q->app, trait)) {
		found->needs_app = SG_NEED_HOLD;
		found->names_only = !found->rule->apps;
	} else if (found->rule && found->rule->condition && q->app < SG_APP_UNKNOWN) {
		found->held = node->traits.conditions[found->rule->condition - 1].key;
	}
	return 0;
}

/* The strictness of a rule: deny, then no rule, then allow. */
static int strictness(const struct sg_node_rule *rule, __u8 app)
{
	return !rule ? 1 : sg_node_verdict(rule, app) == SEG_VERDICT_DENY ? 2 : 0;
}

/* Of two equally strict ones, the one of the earlier rule, then of the earlier staged rule. */
static int is_stricter(const struct sg_found *one, const struct sg_found *other, __u8 app)
{
	int more = strictness(one->rule, app) - strictness(other->rule, app);

	if (more)
		return more > 0;
	if (one->rule != other->rule)
		return one->rule < other->rule;
	if (!one->staged || !other->staged)
		return !!one->staged;
	return one->staged < other->staged;
}

/* Set the query's trait. Where there are too many, all are forgotten, and what was compiled for them. */
static int trait_of(struct sg_node *node, const struct sg_policy_query *q, __u32 *trait)
{
	int error = sg_trait_of(&node->traits, q->app, q->facts, trait);

	if (error != -ENOSPC)
		return error;
	drop_pairs(node);
	error = sg_traits_forget(&node->traits);
	return error ? error : sg_trait_of(&node->traits, q->app, q->facts, trait);
}

int sg_node_ask(struct sg_node *node, __u16 port_id, const struct sg_policy_query *q,
		struct sg_found *found)
{
	__u32 local = local_class(node, port_id, q), by_address, asked = 0;
	struct holder alone = { 0 };
	struct holders peers = peers_of(node, q, &alone);
	int near = is_near(&peers, q->segment), error;
	__u8 need = SG_NEED_NOT, by_facts = 0, names_only = 1;
	struct sg_found one;
	__u32 trait;

	error = trait_of(node, q, &trait);
	by_address = class_by_address(node, port_id, q);
	for (__u32 i = 0; i < peers.count && !error; i++) {
		__u32 class = peers.all[i].class;

		if (near && peers.all[i].segment != q->segment)
			continue;
		if (class)
			class = sg_class_union(&node->classes, class, by_address);
		else
			class = by_address;
		error = ask_one(node, q, trait, local, class, &one);
		by_facts |= one.by_facts;
		if (one.needs_app > need)
			need = one.needs_app;
		names_only &= one.needs_app != SG_NEED_HOLD || one.names_only;
		if (!asked++ || is_stricter(&one, found, q->app))
			*found = one;
	}
	found->needs_app = need;
	found->by_facts = by_facts;
	found->names_only = need == SG_NEED_HOLD && names_only;
	return error;
}
