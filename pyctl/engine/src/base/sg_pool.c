/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Places of an array; see the header. In: hashes. Out: places. No I/O. */
#include "base/sg_pool.h"

#include <errno.h>
#include <stdlib.h>

int sg_pool_init(struct sg_pool *pool, __u32 max)
{
	__u32 heads = 64;

	while (heads < max)
		heads *= 2;
	*pool = (struct sg_pool){ .max = max, .mask = heads - 1 };
	pool->heads = calloc(heads, sizeof(*pool->heads));
	pool->links = calloc(max + 1UL, sizeof(*pool->links));
	return pool->heads && pool->links ? 0 : -ENOMEM;
}

void sg_pool_free(struct sg_pool *pool)
{
	free(pool->heads);
	free(pool->links);
	*pool = (struct sg_pool){ 0 };
}

__u32 sg_pool_take(struct sg_pool *pool)
{
	__u32 place = pool->free;

	if (place)
		pool->free = pool->links[place].next;
	else if (pool->used < pool->max)
		place = ++pool->used;
	pool->count += !!place;
	return place;
}

void sg_pool_give(struct sg_pool *pool, __u32 place)
{
	pool->links[place].next = pool->free;
	pool->free = place;
	pool->count--;
}

void sg_pool_link(struct sg_pool *pool, __u32 place, __u64 hash)
{
	__u32 *head = &pool->heads[hash & pool->mask];

	pool->links[place] = (struct sg_pool_link){ .next = *head };
	if (*head)
		pool->links[*head].prev = place;
	*head = place;
}

void sg_pool_unlink(struct sg_pool *pool, __u32 place, __u64 hash)
{
	struct sg_pool_link *link = &pool->links[place];

	if (link->prev)
		pool->links[link->prev].next = link->next;
	else
		pool->heads[hash & pool->mask] = link->next;
	if (link->next)
		pool->links[link->next].prev = link->prev;
}

void sg_row_in(struct sg_row *row, struct sg_pool_link *links, __u32 place)
{
	links[place] = (struct sg_pool_link){ .next = row->head };
	if (row->head)
		links[row->head].prev = place;
	else
		row->tail = place;
	row->head = place;
	row->count++;
}

void sg_row_out(struct sg_row *row, struct sg_pool_link *links, __u32 place)
{
	struct sg_pool_link *link = &links[place];

	if (link->prev)
		links[link->prev].next = link->next;
	else
		row->head = link->next;
	if (link->next)
		links[link->next].prev = link->prev;
	else
		row->tail = link->prev;
	row->count--;
}
