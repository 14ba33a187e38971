/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Source session limit: one source opens 2,000 connections to a workload within a second, answered or not. */
#include "threat/sg_threat.h"

int sg_threat_session_limit(const struct sg_sight *sight)
{
	static const struct sg_meter_scale scale = { .gap_ns = SG_SECOND / 2000, .on = 2000, .off = 2000 };
	const struct sg_packet *p = sight->p;
	__u64 name[3] = { (__u64)SG_THREAT_SESSION_LIMIT << 32 | p->port_id };

	if (p->dir != SEG_DIR_INGRESS)
		return 0;
	memcpy(&name[1], p->saddr, sizeof(p->saddr));
	return sg_meter_add(sg_meter_of(sight->threats->meters, sight->threats->hash_key, name, sight->now_ns), &scale,
			    sight->now_ns);
}
