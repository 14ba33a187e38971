/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Decaying counts; see the header. In: names, times. Out: whether a count is over its limit. No I/O. */
#include "base/sg_meter.h"

static __u64 left_of(const struct sg_meter *meter, __u64 now_ns)
{
	return meter->due_ns > now_ns ? meter->due_ns - now_ns : 0;
}

static void set(struct sg_meter *meter, const struct sg_meter_scale *scale, __u64 left, __u64 now_ns)
{
	__u64 on = scale->on * scale->gap_ns;

	/* However long it was over, it ends soon after its cause. */
	left = left < on + scale->gap_ns ? left : on + scale->gap_ns;
	meter->due_ns = now_ns + left;
	if (left >= on)
		meter->over = 1;
	else if (left < scale->off * scale->gap_ns)
		meter->over = meter->sure = 0;
}

struct sg_meter *sg_meter_of(struct sg_meter *meters, const struct sg_hash_key *key, const __u64 name[3], __u64 now_ns)
{
	__u64 tag = sg_hash(key, name, 3 * sizeof(*name)) | 1;
	struct sg_meter *m = &meters[(tag >> 8) % (SG_METERS / SG_METER_WAYS) * SG_METER_WAYS], *least = m;

	for (int way = 0; way < SG_METER_WAYS; way++, m++) {
		if (m->tag == tag)
			return m;
		if (left_of(m, now_ns) < left_of(least, now_ns))
			least = m;
	}
	*least = (struct sg_meter){ .tag = tag };
	return least;
}

int sg_meter_add(struct sg_meter *meter, const struct sg_meter_scale *scale, __u64 now_ns)
{
	set(meter, scale, left_of(meter, now_ns) + scale->gap_ns, now_ns);
	return meter->over;
}

void sg_meter_scale_down(struct sg_meter *meter, const struct sg_meter_scale *scale, __u32 part, __u64 now_ns)
{
	set(meter, scale, left_of(meter, now_ns) / 256 * part, now_ns);
}

void sg_meter_take(struct sg_meter *meter, const struct sg_meter_scale *scale, __u64 now_ns)
{
	__u64 left = left_of(meter, now_ns);

	set(meter, scale, left > scale->gap_ns ? left - scale->gap_ns : 0, now_ns);
}
