/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The hash map; see the header. In: keys. Out: numbers. No I/O. */
#include "base/sg_map.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_SIZE = 64 };

static struct sg_map_slot *slot_of(const struct sg_map *map, const struct sg_hash_key *hash_key,
				   const __u64 key[3])
{
	__u32 at = (__u32)sg_hash(hash_key, key, 24);

	for (;; at++) {
		struct sg_map_slot *slot = &map->slots[at & (map->size - 1)];

		if (!slot->taken || !memcmp(slot->key, key, sizeof(slot->key)))
			return slot;
	}
}

__u32 sg_map_get(const struct sg_map *map, const struct sg_hash_key *hash_key, const __u64 key[3])
{
	return map->slots ? slot_of(map, hash_key, key)->value : 0;
}

/* Make room for one more; deleted slots are not copied. */
static int make_room(struct sg_map *map, const struct sg_hash_key *hash_key)
{
	struct sg_map grown = { .size = FIRST_SIZE };
	__u32 live = 0;

	if (map->slots && map->taken < map->size / 2)
		return 0;
	for (__u32 i = 0; i < map->size; i++)
		live += !!map->slots[i].value;
	while (grown.size < 4 * (live + 1))
		grown.size *= 2;
	grown.slots = calloc(grown.size, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (__u32 i = 0; i < map->size; i++)
		if (map->slots[i].value) {
			*slot_of(&grown, hash_key, map->slots[i].key) = map->slots[i];
			grown.taken++;
		}
	free(map->slots);
	*map = grown;
	return 0;
}

int sg_map_put(struct sg_map *map, const struct sg_hash_key *hash_key, const __u64 key[3],
	       __u32 value)
{
	struct sg_map_slot *slot = map->slots ? slot_of(map, hash_key, key) : NULL;

	if (slot && slot->taken) {
		slot->value = value;
		return 0;
	}
	if (!value)
		return 0;
	if (make_room(map, hash_key))
		return -ENOMEM;
	slot = slot_of(map, hash_key, key);
	memcpy(slot->key, key, sizeof(slot->key));
	slot->value = value;
	slot->taken = 1;
	map->taken++;
	return 0;
}

void sg_map_clear(struct sg_map *map)
{
	free(map->slots);
	*map = (struct sg_map){ 0 };
}
