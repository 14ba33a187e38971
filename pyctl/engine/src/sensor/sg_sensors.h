/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A node's sensors: patterns, and the databases that find them. Built by any thread; used and given back by the packet thread,
 * whose flows go on with those under which they began until their next packet. */
#ifndef SG_SENSOR_SET_H
#define SG_SENSOR_SET_H

#include "api/sg_sensors.h"
#include "sensor/sg_hs.h"

struct sg_sensors {
	const struct sg_hs *hs;
	void *scratch;
	void *databases[SG_PARTS];	/* NULL: nothing is looked for in it */
	__u32 stream_bytes[SG_PARTS];
	__u64 of_part[SG_PARTS];	/* sensors that have patterns for it, bits */
	__u32 key[2];
	__u32 users;			/* the core and flows */
	__u32 pattern_count;
	void **exact;			/* by pattern: as PCRE2 compiled it; NULL: it is not asked */
	struct sg_pattern patterns[];
};

/* Build sensors out of their block of bytes, which may be unaligned. 0 and *out, NULL without any; -EINVAL: the block is none;
 * -ENOMEM; -ENOPKG: a library is not there; -EPROTO: the databases are not this machine's, or another version's. */
int sg_sensors_build(const __u8 *bytes, __u32 length, struct sg_sensors **out);
/* Free sensors that nobody uses. */
void sg_sensors_free(struct sg_sensors *sensors);
/* Count one more who uses them. */
struct sg_sensors *sg_sensors_use(struct sg_sensors *sensors);
/* Count one less, and free them after the last. */
void sg_sensors_leave(struct sg_sensors *sensors);
/* Return whether both look for the same; NULL: for nothing. */
int sg_sensors_same(const struct sg_sensors *one, const struct sg_sensors *other);

#endif
