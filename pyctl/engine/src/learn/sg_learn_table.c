/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The table of names; see the header. In: answers, time. Out: the table, classes, denials that are asked about anew. */
#include "learn/sg_learn_table.h"

#include "flow/sg_cache.h"
#include "flow/sg_flow.h"
#include "learn/sg_learn_class.h"
#include "learn/sg_learn_shared.h"
#include "class/sg_class.h"

enum { ROOM_TRIES = 8, SWEPT_AT_LEAST = 64 };

struct learning {
	struct sg_core *core;
	struct sg_port *port;
	__u64 now_ns;
	__u32 told;		/* place */
};

static __u32 class_of(struct sg_core *core, __u32 told)
{
	return told && core->node ? sg_node_class_of_told(core->node, told) : SG_CLASS_ANY;
}

static int is_live(const struct sg_core *core, const struct sg_named *named)
{
	return sg_peers_live(&core->peers, &core->table, named->key.port_id, named->key.family, named->key.address);
}

static void forget(struct sg_core *core, struct sg_port *port, __u32 place)
{
	struct sg_named named;
	int grouped;

	sg_learn_unshare(core, &port->named, sg_named_at(&core->named, place));
	named = *sg_named_at(&core->named, place);
	grouped = class_of(core, named.told) != SG_CLASS_ANY;
	sg_named_remove(&core->named, &port->named, place);
	sg_learn_mark(core, &named.key, -grouped);
}

static void count_evicted(struct sg_core *core, struct sg_port *port, __u32 count)
{
	port->names.evicted += count;
	core->names.evicted += count;
}

/* Whether others should make room before it. */
static int is_wanted(struct sg_core *core, const struct sg_named *named)
{
	return class_of(core, named->told) != SG_CLASS_ANY || is_live(core, named);
}

/* Let the port's oldest address go, unless it is wanted: then the next one, a few times. */
static void make_room(struct sg_core *core, struct sg_port *port)
{
	for (int tries = 1; port->named.row.tail && !sg_named_has_room(&core->named, &port->named); tries++) {
		__u32 place = port->named.row.tail;

		if (tries < ROOM_TRIES && is_wanted(core, sg_named_at(&core->named, place))) {
			sg_named_renew(&core->named, &port->named, place);
			continue;
		}
		forget(core, port, place);
		count_evicted(core, port, 1);
	}
}

/* What the port was denied of the address is asked about anew, by the engine and not by the kernel. */
static void ask_anew(struct sg_core *core, const struct sg_named_key *key)
{
	struct sg_session *s = NULL;

	while ((s = sg_peers_next(&core->peers, &core->table, key->port_id, key->family, key->address, s)))
		if (s->denied) {
			sg_cache_evict(core, s);
			s->generation = 0;
		}
}

/* Returns the place, 0: there is no room. */
static __u32 put_in_force(struct sg_core *core, struct sg_port *port, const struct sg_named *named)
{
	__u32 known = sg_named_find(&core->named, named), former, class = class_of(core, named->told);

	if (!known)
		make_room(core, port);
	former = known ? class_of(core, sg_named_at(&core->named, known)->told) : SG_CLASS_ANY;
	known = sg_named_add(&core->named, &port->named, named);
	if (!known) {
		count_evicted(core, port, 1);
		return 0;
	}
	sg_learn_mark(core, &named->key, (class != SG_CLASS_ANY) - (former != SG_CLASS_ANY));
	if (class != former)
		ask_anew(core, &named->key);
	return known;
}

static void learn(void *context, const struct sg_dns_address *address)
{
	struct learning *learning = context;
	struct sg_core *core = learning->core;
	struct sg_port *port = learning->port;
	struct sg_named named = {
		.key = { .port_id = core->named.store->told[learning->told].port_id,
			 .family = address->is_ipv6 ? SEG_FAMILY_IPV6 : SEG_FAMILY_IPV4 },
		.expires_ns = learning->now_ns + address->ttl * SG_SECOND + SG_NAMED_GRACE_NS,
		.learnt_ns = learning->now_ns, .ttl = address->ttl, .told = learning->told, .is_hint = address->is_hint,
	};
	__u32 place;

	memcpy(named.key.address, address->address, sizeof(named.key.address));
	place = put_in_force(core, port, &named);
	if (!place)
		return;
	port->names.learnt++;
	core->names.learnt++;
	if (class_of(core, learning->told) == SG_CLASS_ANY)
		sg_learn_unshare(core, &port->named, sg_named_at(&core->named, place));
	else if (!sg_learn_share(core, &port->named, sg_named_at(&core->named, place)))
		count_evicted(core, port, 1);
}

/* Write the names, as many as fit, but the last one in any case, which is the addresses' own. */
static void describe(const struct sg_context *c, const struct sg_session *s, const struct sg_dns_chain *chain,
		     struct sg_told *told)
{
	__u32 last = (__u32)strlen(chain->names[chain->count - 1]) + 1;

	memset(told, 0, sizeof(*told));
	told->port_id = s->key.port_id;
	told->resolver_family = s->key.family;
	memcpy(told->resolver, s->key.raddr, sizeof(told->resolver));
	for (__u32 i = 0; i < chain->count; i++) {
		__u32 bytes = (__u32)strlen(chain->names[i]) + 1;

		if (told->length + bytes + (i + 1 < chain->count ? last : 0) > SG_TOLD_TEXT) {
			c->port->names.truncated++;
			c->core->names.truncated++;
			continue;
		}
		memcpy(told->text + told->length, chain->names[i], bytes);
		told->length = (__u16)(told->length + bytes);
	}
}

void sg_learn_answer(const struct sg_context *c, const struct sg_session *s, const __u8 *message, __u32 length,
		     const struct sg_dns_question *question)
{
	struct learning learning = { .core = c->core, .port = c->port, .now_ns = c->now_ns };
	struct sg_dns_chain chain;
	struct sg_told told;
	int error = sg_dns_follow(message, length, question, &chain);

	c->port->names.malformed += !!error;
	c->core->names.malformed += !!error;
	c->port->names.truncated += question->is_cut || (!error && chain.left_out);
	c->core->names.truncated += question->is_cut || (!error && chain.left_out);
	if (error)
		return;
	describe(c, s, &chain, &told);
	make_room(c->core, c->port);
	learning.told = sg_told_get(&c->core->named, &c->port->named, &told);
	if (!learning.told) {
		count_evicted(c->core, c->port, 1);
		return;
	}
	sg_dns_addresses(message, length, question, &chain, learn, &learning);
	sg_told_leave(&c->core->named, &c->port->named, learning.told);
}

static void copy(const struct sg_context *c, const struct sg_named_key *key, const struct seg_name *name)
{
	struct sg_named named = {
		.key = *key, .expires_ns = name->expires_ns, .learnt_ns = name->learnt_ns, .ttl = name->ttl,
		.is_hint = name->is_hint, .is_copy = 1,
	};
	struct sg_told told = {
		.port_id = key->port_id, .length = name->length, .resolver_family = name->resolver_family,
	};

	memcpy(told.resolver, name->resolver, sizeof(told.resolver));
	memcpy(told.text, name->text, name->length);
	make_room(c->core, c->port);
	named.told = sg_told_get(&c->core->named, &c->port->named, &told);
	if (!named.told) {
		count_evicted(c->core, c->port, 1);
		return;
	}
	put_in_force(c->core, c->port, &named);
	sg_told_leave(&c->core->named, &c->port->named, named.told);
}

static int is_known(const struct sg_core *core, const struct sg_named_key *key, const struct seg_name *name)
{
	__u32 place = sg_named_first(&core->named, key);

	for (; place; place = sg_named_next(&core->named, place)) {
		const struct sg_named *named = sg_named_at(&core->named, place);

		/* Answers of one round have one time. */
		if (named->learnt_ns == name->learnt_ns && !strcmp(sg_told_of(&core->named, named)->text, name->text))
			return 1;
	}
	return 0;
}

void sg_learn_ask_others(const struct sg_context *c)
{
	struct sg_named_key key = { .port_id = c->key.port_id, .family = c->key.family };
	const struct sg_session *s;
	struct seg_name name;

	if (sg_learn_is_alone(c->core) || c->p->dir != SEG_DIR_EGRESS || !c->port->rules ||
	    !sg_policy_uses_names(c->port->rules))
		return;
	s = sg_flow_find(c->core, c->port, &c->key);
	if (s && !s->denied)
		return;
	memcpy(key.address, c->key.raddr, sizeof(key.address));
	for (__u8 slot = 0; slot < SG_NAMED_SLOTS; slot++)
		if (sg_learn_shared(c->core, &key, slot, &name) && name.expires_ns > c->now_ns &&
		    !is_known(c->core, &key, &name))
			copy(c, &key, &name);
}

void sg_learn_sweep(struct sg_core *core, __u64 now_ns)
{
	__u32 used = core->named.pool.used, count = used / SWEPT_AT_LEAST + SWEPT_AT_LEAST;

	for (count = count < used ? count : used; count; count--) {
		__u32 place = core->named_cursor = core->named_cursor < used ? core->named_cursor + 1 : 1;
		const struct sg_named *named = sg_named_at(&core->named, place);
		struct sg_port *port = core->ports[named->key.port_id];

		if (!named->key.port_id || now_ns < named->expires_ns || is_live(core, named))
			continue;
		forget(core, port, place);
		port->names.expired++;
		core->names.expired++;
	}
}

void sg_learn_forget(struct sg_core *core, struct sg_port *port)
{
	while (port->named.row.tail)
		forget(core, port, port->named.row.tail);
	sg_questions_forget(&core->questions, &port->questions);
}
