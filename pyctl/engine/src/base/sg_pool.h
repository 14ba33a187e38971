/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Places of an array, found by a hash: which are free, and the chains of those that are not. The array is the caller's.
 * Places count from 1; 0 is none. */
#ifndef SG_POOL_H
#define SG_POOL_H

#include "segctl_abi.h"

struct sg_pool_link {
	__u32 next;
	__u32 prev;		/* 0: it is the first */
};

struct sg_pool {
	struct sg_pool_link *links;	/* by place; next is that of the free ones too */
	__u32 *heads;
	__u32 mask;
	__u32 max;
	__u32 used;		/* places that were ever taken */
	__u32 count;		/* taken now */
	__u32 free;
};

/* 0 or -ENOMEM. */
int sg_pool_init(struct sg_pool *pool, __u32 max);
void sg_pool_free(struct sg_pool *pool);
/* Return a place that is free; 0: there is none. */
__u32 sg_pool_take(struct sg_pool *pool);
/* Give a place back that is on no chain. */
void sg_pool_give(struct sg_pool *pool, __u32 place);
void sg_pool_link(struct sg_pool *pool, __u32 place, __u64 hash);
void sg_pool_unlink(struct sg_pool *pool, __u32 place, __u64 hash);

/* Return the first place of the hash's chain, which other hashes may share. */
static inline __u32 sg_pool_first(const struct sg_pool *pool, __u64 hash)
{
	return pool->heads[hash & pool->mask];
}

static inline __u32 sg_pool_next(const struct sg_pool *pool, __u32 place)
{
	return pool->links[place].next;
}

/* A list of places, in an order that the caller makes. */
struct sg_row {
	__u32 head;		/* the newest */
	__u32 tail;
	__u32 count;
};

void sg_row_in(struct sg_row *row, struct sg_pool_link *links, __u32 place);
void sg_row_out(struct sg_row *row, struct sg_pool_link *links, __u32 place);

#endif
