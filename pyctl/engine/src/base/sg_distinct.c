/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counts of distinct things; see the header. In: names, hashes, times. Out: counts. No I/O. */
#include "base/sg_distinct.h"

static __u64 windows_since(const struct sg_distinct *d, __u64 window_ns, __u64 now_ns)
{
	return now_ns > d->since_ns ? (now_ns - d->since_ns) / window_ns : 0;
}

__u32 sg_distinct_count(const struct sg_distinct *d, __u64 window_ns, __u64 now_ns)
{
	__u64 gone = windows_since(d, window_ns, now_ns);
	int count = 0;

	for (int i = 0; i < SG_DISTINCT_WORDS && gone < 2; i++)
		count += __builtin_popcountll(gone ? d->bits[0][i] : d->bits[0][i] | d->bits[1][i]);
	return (__u32)count;
}

static void turn(struct sg_distinct *d, __u64 window_ns, __u64 now_ns)
{
	__u64 gone = windows_since(d, window_ns, now_ns);

	if (!gone)
		return;
	memcpy(d->bits[1], d->bits[0], sizeof(d->bits[1]));
	if (gone > 1)
		memset(d->bits[1], 0, sizeof(d->bits[1]));
	memset(d->bits[0], 0, sizeof(d->bits[0]));
	d->since_ns = now_ns;
}

static __u64 tag_of(const struct sg_hash_key *key, const __u64 name[3])
{
	return sg_hash(key, name, 3 * sizeof(*name)) | 1;
}

static __u64 place_of(__u64 tag)
{
	return (tag >> 8) % (SG_DISTINCTS / SG_DISTINCT_WAYS) * SG_DISTINCT_WAYS;
}

struct sg_distinct *sg_distinct_of(struct sg_distinct *all, const struct sg_hash_key *key, const __u64 name[3],
				   __u64 window_ns, __u64 now_ns)
{
	__u64 tag = tag_of(key, name);
	struct sg_distinct *d = &all[place_of(tag)], *least = d;

	for (int way = 0; way < SG_DISTINCT_WAYS; way++, d++) {
		if (d->tag == tag) {
			turn(d, window_ns, now_ns);
			return d;
		}
		if (sg_distinct_count(d, window_ns, now_ns) < sg_distinct_count(least, window_ns, now_ns))
			least = d;
	}
	*least = (struct sg_distinct){ .tag = tag, .since_ns = now_ns };
	return least;
}

const struct sg_distinct *sg_distinct_find(const struct sg_distinct *all, const struct sg_hash_key *key,
					   const __u64 name[3])
{
	__u64 tag = tag_of(key, name);
	const struct sg_distinct *d = &all[place_of(tag)];

	for (int way = 0; way < SG_DISTINCT_WAYS; way++, d++)
		if (d->tag == tag)
			return d;
	return NULL;
}

void sg_distinct_add(struct sg_distinct *d, __u64 hash)
{
	d->bits[0][hash % SG_DISTINCT_WORDS] |= 1ULL << (hash >> 8) % 64;
}
