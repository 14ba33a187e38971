/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The addresses that ports have learnt, with the names that they go by. Policy-free, no clock.
 *
 * It lies in memory that outlives the engine. A port may have SG_NAMED_SHARE times as many addresses as are then free, so
 * none takes the last room of others. */
#ifndef SG_NAMED_H
#define SG_NAMED_H

#include "api/sg_core.h"
#include "base/sg_map.h"
#include "base/sg_pool.h"

enum sg_named_limit {
	SG_NAMED = 131072,		/* addresses of all ports, once for each name that was asked for */
	SG_TOLD = 24576,		/* answers that they come from */
	SG_TOLD_TEXT = SEG_NAME_TEXT,	/* of an answer's names, each with a zero behind: those that fit */
	SG_NAMED_SHARE = 2,
	SG_NAMED_SLOTS = 4,		/* names of an address that workers share */
};

/* What an answer said of names: the asked one, and those that it leads through. Kept once for all its addresses. */
struct sg_told {
	__u16 port_id;			/* 0: free */
	__u16 length;			/* of text, up to the last zero */
	__u8 resolver_family;
	__u8 pad[3];
	__u8 resolver[16];
	char text[SG_TOLD_TEXT];
};

struct sg_named_key {
	__u16 port_id;
	__u8 family;
	__u8 pad[5];
	__u8 address[16];
};
SEG_ABI_SIZE(sg_named_key, 24);

struct sg_named {
	struct sg_named_key key;	/* port_id 0: free */
	__u64 expires_ns;
	__u64 learnt_ns;
	__u32 ttl;
	__u32 told;			/* place */
	__u8 is_hint;
	__u8 is_copy;			/* of what another worker has learnt */
	__u8 shared;			/* in which of the address's slots it is for the other workers, + 1; 0: it is not */
	__u8 pad[5];
};

/* In memory that outlives the engine. Places count from 1. */
struct sg_named_store {
	__u32 used;			/* as the pools' */
	__u32 told_used;
	struct sg_named named[SG_NAMED + 1];
	struct sg_told told[SG_TOLD + 1];
};
_Static_assert(sizeof(struct sg_named_store) <= SG_STORE_NAMES, "memory of names");

/* The addresses of one port, the newest first. */
struct sg_named_row {
	struct sg_row row;
	__u32 told;			/* how many answers they come from */
	__u32 shared;			/* how many are shared */
};

struct sg_named_table {
	const struct sg_hash_key *hash_key;
	struct sg_named_store *store;
	int is_ours;			/* on the heap */
	struct sg_pool pool;		/* of addresses, by key */
	struct sg_pool_link *rows;	/* by place, on the port's */
	struct sg_pool told_pool;	/* of answers, by port and text */
	__u32 *uses;			/* by place of an answer: addresses that come from it */
	__u32 *classes;			/* by place of an answer: the node's class of its names; 0: not known */
	struct sg_map marks;		/* by address: how many places give it a group */
	__u32 mark_count;		/* addresses in it */
	__u32 shared;			/* how many of all ports are shared */
};

/* 0 or -ENOMEM. */
int sg_named_init(struct sg_named_table *table, const struct sg_hash_key *hash_key);
void sg_named_free(struct sg_named_table *table);
/* Use this memory from now on; nothing is in the table yet. With `keep`, take over what a former engine left in it. `row_of`
 * gives the row of a port, or NULL. */
void sg_named_place(struct sg_named_table *table, struct sg_named_store *store, int keep,
		    struct sg_named_row *(*row_of)(void *context, __u16 port_id), void *context, __u64 now_ns);

static inline struct sg_named *sg_named_at(const struct sg_named_table *table, __u32 place)
{
	return place ? &table->store->named[place] : NULL;
}

static inline struct sg_told *sg_told_of(const struct sg_named_table *table, const struct sg_named *named)
{
	return &table->store->told[named->told];
}

__u64 sg_named_hash(const struct sg_named_table *table, const struct sg_named_key *key);
__u64 sg_told_hash(const struct sg_named_table *table, const struct sg_told *told);
/* Return the first place that the port has for the address, and the next one; 0: there is none. */
__u32 sg_named_first(const struct sg_named_table *table, const struct sg_named_key *key);
__u32 sg_named_next(const struct sg_named_table *table, __u32 place);

/* Return the answer of the port with these names, made if needed; 0: there is no room. Its last address frees it, but not
 * before sg_told_leave() is called. */
__u32 sg_told_get(struct sg_named_table *table, struct sg_named_row *row, const struct sg_told *told);
void sg_told_leave(struct sg_named_table *table, struct sg_named_row *row, __u32 told);
/* Whether the port may have one more address, and one more answer, without one of its own going. */
int sg_named_has_room(const struct sg_named_table *table, const struct sg_named_row *row);
/* Return the place of the address that was asked for by the same name; 0: there is none. */
__u32 sg_named_find(const struct sg_named_table *table, const struct sg_named *named);
/* Add an address, or renew the one that was asked for by the same name. Returns its place; 0: there is no room. */
__u32 sg_named_add(struct sg_named_table *table, struct sg_named_row *row, const struct sg_named *named);
void sg_named_remove(struct sg_named_table *table, struct sg_named_row *row, __u32 place);
/* Make the place the newest of its port. */
void sg_named_renew(struct sg_named_table *table, struct sg_named_row *row, __u32 place);

/* Count places that give the address a group, up or down; returns how many there are now. -ENOMEM: it is not counted. */
int sg_named_mark(struct sg_named_table *table, const struct sg_named_key *key, int change);
int sg_named_is_marked(const struct sg_named_table *table, __u8 family, const __u8 *address);
void sg_named_marks_clear(struct sg_named_table *table);

#endif
