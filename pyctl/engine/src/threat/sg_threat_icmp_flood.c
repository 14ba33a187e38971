/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* ICMP flood: more than 100 ICMP packets of a workload, both ways and whoever sends them, within a second. */
#include "threat/sg_threat.h"

int sg_threat_icmp_flood(const struct sg_sight *sight)
{
	static const struct sg_meter_scale scale = { .gap_ns = SG_SECOND / 100, .on = 101, .off = 100 };
	const __u64 name[3] = { (__u64)SG_THREAT_ICMP_FLOOD << 32 | sight->p->port_id };

	return sg_meter_add(sg_meter_of(sight->threats->meters, sight->threats->hash_key, name, sight->now_ns), &scale,
			    sight->now_ns);
}
