/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counts that decay, by name, in bounded memory: of four that share a place the emptiest makes room. No clock. */
#ifndef SG_METER_H
#define SG_METER_H

#include "base/sg_bytes.h"

enum { SG_METERS = 4096, SG_METER_WAYS = 4 };

/* A count that loses one each gap_ns: `due_ns` is when it will be empty. */
struct sg_meter {
	__u64 tag;
	__u64 due_ns;
	__u8 over;		/* it was at `on`, and not below `off` since */
	__u8 sure;		/* the caller's, which has looked closer; 0 when it is not over any more */
};

struct sg_meter_scale {
	__u64 gap_ns;
	__u32 on;
	__u32 off;
};

/* Return the meter of this name, which begins empty. */
struct sg_meter *sg_meter_of(struct sg_meter *meters, const struct sg_hash_key *key, const __u64 name[3], __u64 now_ns);
/* Add one. Returns whether the meter is over. */
int sg_meter_add(struct sg_meter *meter, const struct sg_meter_scale *scale, __u64 now_ns);
/* Leave this part of it, in 256ths. */
void sg_meter_scale_down(struct sg_meter *meter, const struct sg_meter_scale *scale, __u32 part, __u64 now_ns);
/* Take one away. */
void sg_meter_take(struct sg_meter *meter, const struct sg_meter_scale *scale, __u64 now_ns);

#endif
