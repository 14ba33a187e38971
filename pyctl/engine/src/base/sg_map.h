/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A hash map from three words to a number above 0. Keyed hash, open addressing; it only grows. */
#ifndef SG_MAP_H
#define SG_MAP_H

#include "base/sg_bytes.h"

struct sg_map_slot {
	__u64 key[3];
	__u32 value;		/* 0: free, or deleted */
	__u32 taken;		/* a search continues after it */
};

struct sg_map {
	struct sg_map_slot *slots;	/* NULL: empty */
	__u32 size;		/* a power of two */
	__u32 taken;
};

__u32 sg_map_get(const struct sg_map *map, const struct sg_hash_key *hash_key, const __u64 key[3]);
/* Set a key's value; 0 deletes it. Returns 0 or -ENOMEM; changing an existing entry needs no memory. */
int sg_map_put(struct sg_map *map, const struct sg_hash_key *hash_key, const __u64 key[3],
	       __u32 value);
void sg_map_clear(struct sg_map *map);

#endif
