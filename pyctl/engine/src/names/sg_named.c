/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Addresses with names; see the header. In: keys, names. Out: places. No I/O.
 * Chains, rows and counts are made anew by who takes the memory over: only what an address and an answer say is in it. */
#include "names/sg_named.h"

#include <errno.h>
#include <stdlib.h>

int sg_named_init(struct sg_named_table *table, const struct sg_hash_key *hash_key)
{
	*table = (struct sg_named_table){ .hash_key = hash_key, .is_ours = 1 };
	table->store = calloc(1, sizeof(*table->store));
	table->rows = calloc(SG_NAMED + 1, sizeof(*table->rows));
	table->uses = calloc(SG_TOLD + 1, sizeof(*table->uses));
	table->classes = calloc(SG_TOLD + 1, sizeof(*table->classes));
	if (sg_pool_init(&table->pool, SG_NAMED) || sg_pool_init(&table->told_pool, SG_TOLD) || !table->store ||
	    !table->rows || !table->uses || !table->classes)
		return -ENOMEM;
	return 0;
}

void sg_named_free(struct sg_named_table *table)
{
	if (table->is_ours)
		free(table->store);
	free(table->rows);
	free(table->uses);
	free(table->classes);
	sg_pool_free(&table->pool);
	sg_pool_free(&table->told_pool);
	sg_map_clear(&table->marks);
}

__u64 sg_named_hash(const struct sg_named_table *table, const struct sg_named_key *key)
{
	return sg_hash(table->hash_key, key, sizeof(*key));
}

/* The hash takes whole words: behind the text are zeros. */
__u64 sg_told_hash(const struct sg_named_table *table, const struct sg_told *told)
{
	return sg_hash(table->hash_key, told->text, (told->length + 7U) / 8 * 8) ^ told->port_id;
}

/* The place, or the next one of its chain, that is of the key. */
static __u32 same_key(const struct sg_named_table *table, __u32 place, const struct sg_named_key *key)
{
	while (place && memcmp(&table->store->named[place].key, key, sizeof(*key)))
		place = sg_pool_next(&table->pool, place);
	return place;
}

__u32 sg_named_first(const struct sg_named_table *table, const struct sg_named_key *key)
{
	return same_key(table, sg_pool_first(&table->pool, sg_named_hash(table, key)), key);
}

__u32 sg_named_next(const struct sg_named_table *table, __u32 place)
{
	return same_key(table, sg_pool_next(&table->pool, place), &table->store->named[place].key);
}

__u32 sg_told_get(struct sg_named_table *table, struct sg_named_row *row, const struct sg_told *told)
{
	__u64 hash = sg_told_hash(table, told);
	__u32 place = sg_pool_first(&table->told_pool, hash);

	for (; place; place = sg_pool_next(&table->told_pool, place)) {
		struct sg_told *known = &table->store->told[place];

		if (known->port_id != told->port_id || known->length != told->length ||
		    memcmp(known->text, told->text, told->length))
			continue;
		memcpy(known->resolver, told->resolver, sizeof(known->resolver));
		known->resolver_family = told->resolver_family;
		table->uses[place]++;
		return place;
	}
	place = sg_pool_take(&table->told_pool);
	if (!place)
		return 0;
	table->store->told[place] = *told;
	table->store->told_used = table->told_pool.used;
	table->uses[place] = 1;
	table->classes[place] = 0;
	sg_pool_link(&table->told_pool, place, hash);
	row->told++;
	return place;
}

void sg_told_leave(struct sg_named_table *table, struct sg_named_row *row, __u32 told)
{
	struct sg_told *gone = &table->store->told[told];

	if (--table->uses[told])
		return;
	sg_pool_unlink(&table->told_pool, told, sg_told_hash(table, gone));
	sg_pool_give(&table->told_pool, told);
	gone->port_id = 0;
	row->told--;
}

int sg_named_has_room(const struct sg_named_table *table, const struct sg_named_row *row)
{
	return row->row.count < SG_NAMED_SHARE * (SG_NAMED - table->pool.count) &&
	       row->told < SG_NAMED_SHARE * (SG_TOLD - table->told_pool.count);
}

static void set_told(struct sg_named_table *table, struct sg_named_row *row, struct sg_named *named, __u32 told)
{
	__u32 former = named->told;

	named->told = told;
	table->uses[told]++;
	if (former)
		sg_told_leave(table, row, former);
}

/* The name that was asked for is the first of the text. */
__u32 sg_named_find(const struct sg_named_table *table, const struct sg_named *named)
{
	const char *asked = sg_told_of(table, named)->text;
	__u32 place = sg_named_first(table, &named->key);

	while (place && strcmp(sg_told_of(table, &table->store->named[place])->text, asked))
		place = sg_named_next(table, place);
	return place;
}

__u32 sg_named_add(struct sg_named_table *table, struct sg_named_row *row, const struct sg_named *named)
{
	__u32 place = sg_named_find(table, named), told = named->told;
	struct sg_named *known;

	if (place) {
		known = &table->store->named[place];
		sg_named_renew(table, row, place);
	} else {
		place = sg_pool_take(&table->pool);
		if (!place)
			return 0;
		known = &table->store->named[place];
		*known = *named;
		known->told = 0;
		table->store->used = table->pool.used;
		sg_pool_link(&table->pool, place, sg_named_hash(table, &named->key));
		sg_row_in(&row->row, table->rows, place);
	}
	known->expires_ns = named->expires_ns;
	known->learnt_ns = named->learnt_ns;
	known->ttl = named->ttl;
	known->is_hint = named->is_hint;
	known->is_copy = named->is_copy;
	set_told(table, row, known, told);
	return place;
}

void sg_named_remove(struct sg_named_table *table, struct sg_named_row *row, __u32 place)
{
	struct sg_named *named = &table->store->named[place];

	sg_pool_unlink(&table->pool, place, sg_named_hash(table, &named->key));
	sg_pool_give(&table->pool, place);
	sg_row_out(&row->row, table->rows, place);
	named->key.port_id = 0;
	sg_told_leave(table, row, named->told);
}

void sg_named_renew(struct sg_named_table *table, struct sg_named_row *row, __u32 place)
{
	sg_row_out(&row->row, table->rows, place);
	sg_row_in(&row->row, table->rows, place);
}

static void mark_key(__u8 family, const __u8 *address, __u64 key[3])
{
	memcpy(key, address, 16);
	if (family == SEG_FAMILY_IPV4)
		memset((__u8 *)key + 4, 0, 12);
	key[2] = family;
}

int sg_named_mark(struct sg_named_table *table, const struct sg_named_key *named, int change)
{
	__u64 key[3];
	__u32 count;

	mark_key(named->family, named->address, key);
	count = sg_map_get(&table->marks, table->hash_key, key);
	if (!count && change < 0)
		return 0;
	if (sg_map_put(&table->marks, table->hash_key, key, count + (__u32)change))
		return -ENOMEM;
	table->mark_count += (__u32)!count - (__u32)!(count + (__u32)change);
	return (int)(count + (__u32)change);
}

int sg_named_is_marked(const struct sg_named_table *table, __u8 family, const __u8 *address)
{
	__u64 key[3];

	mark_key(family, address, key);
	return !!sg_map_get(&table->marks, table->hash_key, key);
}

void sg_named_marks_clear(struct sg_named_table *table)
{
	sg_map_clear(&table->marks);
	table->mark_count = 0;
}
