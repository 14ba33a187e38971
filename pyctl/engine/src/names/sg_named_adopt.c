/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Takes over the names of a former engine, which may have died in the middle of any write: only what an address and an answer
 * say is believed, and what is used as a place or a length is checked. In: that memory. Out: the table. No I/O. */
#include "names/sg_named.h"

#include <stdlib.h>

static int is_family(__u8 family)
{
	return family == SEG_FAMILY_IPV4 || family == SEG_FAMILY_IPV6;
}

/* Whether it is names that end, and zeros behind them. */
static int is_told_whole(const struct sg_told *told)
{
	__u32 name = 0;

	if (!told->port_id || !told->length || told->length > SG_TOLD_TEXT || !is_family(told->resolver_family))
		return 0;
	for (__u32 i = 0; i < SG_TOLD_TEXT; i++) {
		__u8 c = (__u8)told->text[i];

		name = c ? name + 1 : 0;
		if (c && (c <= ' ' || c >= 0x7f || name == SG_NAME_ROOM || i + 1U >= told->length))
			return 0;
	}
	return 1;
}

static int is_whole(const struct sg_named *named, const struct sg_told *told, __u64 now_ns)
{
	return named->key.port_id && named->key.port_id == told->port_id && is_family(named->key.family) &&
	       named->shared <= SG_NAMED_SLOTS &&
	       named->learnt_ns <= now_ns && named->expires_ns >= named->learnt_ns && is_told_whole(told);
}

/* Take the answers over, each for no address yet. */
static void adopt_told(struct sg_named_table *table)
{
	for (__u32 place = 1; place <= table->told_pool.max && place <= table->store->told_used; place++) {
		struct sg_told *told = &table->store->told[place];

		table->told_pool.used = place;
		table->told_pool.count++;
		if (is_told_whole(told)) {
			sg_pool_link(&table->told_pool, place, sg_told_hash(table, told));
		} else {
			told->port_id = 0;
			sg_pool_give(&table->told_pool, place);
		}
	}
}

static int adopt_one(struct sg_named_table *table, struct sg_named *named, __u32 place, struct sg_named_row *row)
{
	if (!row)
		return 0;
	sg_pool_link(&table->pool, place, sg_named_hash(table, &named->key));
	sg_row_in(&row->row, table->rows, place);
	row->told += !table->uses[named->told]++;
	row->shared += !!named->shared;
	table->shared += !!named->shared;
	return 1;
}

/* An answer from which no address came over is free. */
static void drop_unused(struct sg_named_table *table)
{
	for (__u32 place = 1; place <= table->told_pool.used; place++) {
		struct sg_told *told = &table->store->told[place];

		if (!told->port_id || table->uses[place])
			continue;
		sg_pool_unlink(&table->told_pool, place, sg_told_hash(table, told));
		sg_pool_give(&table->told_pool, place);
		told->port_id = 0;
	}
}

void sg_named_place(struct sg_named_table *table, struct sg_named_store *store, int keep,
		    struct sg_named_row *(*row_of)(void *context, __u16 port_id), void *context, __u64 now_ns)
{
	if (table->is_ours)
		free(table->store);
	table->store = store;
	table->is_ours = 0;
	if (!keep || store->used > SG_NAMED || store->told_used > SG_TOLD)
		store->used = store->told_used = 0;
	adopt_told(table);
	for (__u32 place = 1; place <= store->used; place++) {
		struct sg_named *named = &store->named[place];

		table->pool.used = place;
		table->pool.count++;
		if (named->told > SG_TOLD || !is_whole(named, &store->told[named->told], now_ns) ||
		    !adopt_one(table, named, place, row_of(context, named->key.port_id))) {
			named->key.port_id = 0;
			sg_pool_give(&table->pool, place);
		}
	}
	drop_unused(table);
}
