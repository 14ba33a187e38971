/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counts how many distinct things came of a name within two windows of time, in bounded memory and about right: things are
 * bits of 256 by their hash. Of four names that share a place the one with the fewest makes room. No clock. */
#ifndef SG_DISTINCT_H
#define SG_DISTINCT_H

#include "base/sg_bytes.h"

enum { SG_DISTINCTS = 2048, SG_DISTINCT_WAYS = 4, SG_DISTINCT_WORDS = 4 };

struct sg_distinct {
	__u64 tag;
	__u64 since_ns;		/* when the current window began */
	__u64 bits[2][SG_DISTINCT_WORDS];	/* of the current window, and of the one before */
};

/* Return the record of this name, which begins empty. */
struct sg_distinct *sg_distinct_of(struct sg_distinct *all, const struct sg_hash_key *key, const __u64 name[3],
				   __u64 window_ns, __u64 now_ns);
/* Return the record of this name, or NULL. */
const struct sg_distinct *sg_distinct_find(const struct sg_distinct *all, const struct sg_hash_key *key,
					   const __u64 name[3]);
/* Add a thing by its hash. */
void sg_distinct_add(struct sg_distinct *d, __u64 hash);
/* Return how many bits are set in the windows that are not over. `n` things set n or a few less: 50 set 46, 100 set 83. */
__u32 sg_distinct_count(const struct sg_distinct *d, __u64 window_ns, __u64 now_ns);

#endif
