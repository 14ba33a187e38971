/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Session table and timer wheel; see the header.
 * In: keys and times. Out: sessions. A touched session is not moved on the wheel: it is moved when
 * its old slot comes up, so a packet costs no list work. */
#include "session/sg_session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

int sg_table_init(struct sg_table *table, __u32 max)
{
	__u32 buckets = 1024;

	while (buckets < max && buckets < 1U << 22)
		buckets *= 2;
	table->max = max;
	table->bucket_mask = buckets - 1;
	table->buckets = calloc(buckets, sizeof(*table->buckets));
	table->slabs = calloc(max / SG_SLAB + 1, sizeof(*table->slabs));
	if (!table->buckets || !table->slabs ||
	    getrandom(&table->hash_key, sizeof(table->hash_key), 0) !=
		    (ssize_t)sizeof(table->hash_key)) {
		sg_table_free(table);
		return -ENOMEM;
	}
	return 0;
}

void sg_table_free(struct sg_table *table)
{
	if (table->slabs && !table->store)
		for (__u32 i = 0; i <= table->max / SG_SLAB; i++)
			free(table->slabs[i]);
	free(table->slabs);
	free(table->buckets);
	table->slabs = NULL;
	table->buckets = NULL;
}

void sg_table_place(struct sg_table *table, struct sg_store *store)
{
	table->store = store;
}

static struct sg_session *new_slab(const struct sg_table *table)
{
	if (table->store)
		return (struct sg_session *)((__u8 *)table->store + SG_STORE_SESSIONS) + table->used;
	return calloc(SG_SLAB, sizeof(struct sg_session));
}

__u32 sg_table_grow(struct sg_table *table)
{
	if (table->used == table->max)
		return 0;
	if (table->used % SG_SLAB == 0) {
		struct sg_session **slab = &table->slabs[table->used / SG_SLAB];

		*slab = new_slab(table);
		if (!*slab)
			return 0;
	}
	table->used++;
	if (table->store)
		table->store->used = table->used;
	return table->used;
}

static __u32 *bucket_of(const struct sg_table *table, const struct sg_key *key)
{
	__u64 hash = sg_hash(&table->hash_key, key, sizeof(*key));

	return &table->buckets[hash & table->bucket_mask];
}

struct sg_session *sg_table_find(const struct sg_table *table, const struct sg_key *key)
{
	struct sg_session *s = sg_table_slot(table, *bucket_of(table, key));

	while (s && memcmp(&s->key, key, sizeof(*key)))
		s = sg_table_slot(table, s->hash_next);
	return s;
}

/* A free slot, 0 when there is none. */
static __u32 take_slot(struct sg_table *table)
{
	__u32 slot = table->free_head;

	if (slot) {
		table->free_head = sg_table_slot(table, slot)->hash_next;
		return slot;
	}
	return sg_table_grow(table);
}

void sg_table_give_back(struct sg_table *table, struct sg_session *s, __u32 slot)
{
	s->in_use = 0;
	s->hash_next = table->free_head;
	table->free_head = slot;
}

/* Return the counter of sessions of key's port with its peer: by address, or by its first 8 bytes. */
static __u32 *peer_count(struct sg_table *table, const struct sg_key *key, size_t bytes)
{
	__u64 name[3] = { (__u64)bytes << 32 | key->port_id << 8 | key->family };

	memcpy(&name[1], key->raddr, bytes);
	return &table->peers[sg_hash(&table->hash_key, name, sizeof(name)) % SG_PEERS];
}

static void count_peer(struct sg_table *table, const struct sg_key *key, int one)
{
	*peer_count(table, key, 16) += (__u32)one;
	if (key->family == SEG_FAMILY_IPV6)
		*peer_count(table, key, 8) += (__u32)one;
}

enum sg_room sg_table_room(const struct sg_table *table, const struct sg_key *key,
			   const struct sg_port_list *list)
{
	struct sg_table *counts = (struct sg_table *)table;
	__u64 share = (__u64)SG_SHARE * (table->max - table->count), left;

	if (list->count >= share)
		return SG_NO_ROOM;
	left = share - list->count;
	if (*peer_count(counts, key, 16) >= SG_PEER_SHARE * left ||
	    (key->family == SEG_FAMILY_IPV6 && *peer_count(counts, key, 8) >= SG_NET_SHARE * left))
		return SG_NO_ROOM_FOR_PEER;
	return SG_ROOM;
}

int sg_table_same_peer(const struct sg_key *a, const struct sg_key *b)
{
	size_t bytes = a->family == SEG_FAMILY_IPV6 ? 8 : 4;

	return a->family == b->family && !memcmp(a->raddr, b->raddr, bytes);
}

static struct sg_list *list_of(const struct sg_session *s, struct sg_port_list *list)
{
	if (s->created_ns <= list->closed_ns)
		return &list->closing;
	return s->lasting ? &list->lasting : &list->fresh;
}

static void link_in(struct sg_table *table, struct sg_session *s, struct sg_list *in)
{
	s->port_prev = 0;
	s->port_next = in->head;
	if (in->head)
		sg_table_slot(table, in->head)->port_prev = s->slot;
	else
		in->tail = s->slot;
	in->head = s->slot;
}

static void link_out(struct sg_table *table, struct sg_session *s, struct sg_list *in)
{
	if (s->port_prev)
		sg_table_slot(table, s->port_prev)->port_next = s->port_next;
	else
		in->head = s->port_next;
	if (s->port_next)
		sg_table_slot(table, s->port_next)->port_prev = s->port_prev;
	else
		in->tail = s->port_prev;
}

void sg_table_lasts(struct sg_table *table, struct sg_session *s, struct sg_port_list *list)
{
	if (s->lasting)
		return;
	link_out(table, s, list_of(s, list));
	s->lasting = 1;
	link_in(table, s, list_of(s, list));
}

void sg_table_renew(struct sg_table *table, struct sg_session *s, struct sg_port_list *list)
{
	link_out(table, s, list_of(s, list));
	link_in(table, s, list_of(s, list));
}

static void append(struct sg_table *table, struct sg_list *to, struct sg_list *more)
{
	if (!more->head)
		return;
	if (to->tail) {
		sg_table_slot(table, to->tail)->port_next = more->head;
		sg_table_slot(table, more->head)->port_prev = to->tail;
	} else {
		to->head = more->head;
	}
	to->tail = more->tail;
	*more = (struct sg_list){ 0 };
}

void sg_table_close(struct sg_table *table, struct sg_port_list *list, __u64 now_ns)
{
	append(table, &list->closing, &list->lasting);
	append(table, &list->closing, &list->fresh);
	/* Every session is older than this, even if the clock stood still. */
	list->closed_ns = now_ns > list->closed_ns ? now_ns : list->closed_ns + 1;
}

void sg_table_insert(struct sg_table *table, struct sg_session *s, __u32 slot,
		   struct sg_port_list *list)
{
	__u32 *bucket = bucket_of(table, &s->key);

	s->slot = slot;
	s->wheel_slot = s->wheel_next = s->wheel_prev = 0;
	s->lasting = !!s->lasting;
	s->in_use = 1;
	s->hash_next = *bucket;
	*bucket = slot;
	link_in(table, s, list_of(s, list));
	count_peer(table, &s->key, 1);
	list->count++;
	table->count++;
}

struct sg_session *sg_table_add(struct sg_table *table, const struct sg_key *key,
				struct sg_port_list *list)
{
	__u32 slot = sg_table_room(table, key, list) == SG_ROOM ? take_slot(table) : 0;
	struct sg_session *s;

	if (!slot)
		return NULL;
	s = sg_table_slot(table, slot);
	memset(s, 0, sizeof(*s));
	s->key = *key;
	/* A handle leaves SEG_OPENED_BY_KERNEL free. */
	table->next_id = (table->next_id + 1) & 0x7fffffff;
	s->id = table->next_id;
	if (table->store)
		table->store->next_id = table->next_id;
	s->created_ns = list->closed_ns + 1;
	sg_table_insert(table, s, slot, list);
	return s;
}

static void wheel_remove(struct sg_table *table, struct sg_session *s)
{
	if (!s->wheel_slot)
		return;
	if (s->wheel_prev)
		sg_table_slot(table, s->wheel_prev)->wheel_next = s->wheel_next;
	else
		table->wheel[s->wheel_slot - 1] = s->wheel_next;
	if (s->wheel_next)
		sg_table_slot(table, s->wheel_next)->wheel_prev = s->wheel_prev;
	s->wheel_slot = s->wheel_next = s->wheel_prev = 0;
}

void sg_table_remove(struct sg_table *table, struct sg_session *s, struct sg_port_list *list)
{
	__u32 *link = bucket_of(table, &s->key);

	while (*link != s->slot)
		link = &sg_table_slot(table, *link)->hash_next;
	*link = s->hash_next;
	wheel_remove(table, s);
	link_out(table, s, list_of(s, list));
	count_peer(table, &s->key, -1);
	sg_table_give_back(table, s, s->slot);
	list->count--;
	table->count--;
}

void sg_wheel_arm(struct sg_table *table, struct sg_session *s, __u64 at_ns)
{
	__u64 tick = at_ns / SG_WHEEL_NS + 1;
	__u32 index;

	if (s->wheel_slot && at_ns >= s->wheel_ns)
		return;
	wheel_remove(table, s);
	if (tick <= table->wheel_tick)
		tick = table->wheel_tick + 1;
	if (tick - table->wheel_tick >= SG_WHEEL_SLOTS)
		tick = table->wheel_tick + SG_WHEEL_SLOTS - 1;
	index = (__u32)(tick % SG_WHEEL_SLOTS);
	s->wheel_slot = index + 1;
	s->wheel_ns = at_ns;
	s->wheel_next = table->wheel[index];
	if (s->wheel_next)
		sg_table_slot(table, s->wheel_next)->wheel_prev = s->slot;
	table->wheel[index] = s->slot;
}

struct sg_session *sg_wheel_due(struct sg_table *table, __u64 now_ns)
{
	__u64 now_tick = now_ns / SG_WHEEL_NS;

	/* After a pause longer than the wheel, one turn visits every session. */
	if (now_tick > table->wheel_tick + SG_WHEEL_SLOTS)
		table->wheel_tick = now_tick - SG_WHEEL_SLOTS;
	for (;;) {
		struct sg_session *s =
			sg_table_slot(table, table->wheel[table->wheel_tick % SG_WHEEL_SLOTS]);

		if (s) {
			wheel_remove(table, s);
			return s;
		}
		if (table->wheel_tick >= now_tick)
			return NULL;
		table->wheel_tick++;
	}
}
