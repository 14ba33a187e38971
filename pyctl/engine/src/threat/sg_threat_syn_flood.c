/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SYN flood: 800 SYNs of one source to a workload that nobody completed, of which 160 a second are forgiven; it is over
 * below 600. In: SYNs, and what became of connections. Out: whether there is a flood. */
#include "threat/sg_threat.h"

static const struct sg_meter_scale scale = { .gap_ns = SG_SECOND / 160, .on = 800, .off = 600 };

static struct sg_meter *meter_of(struct sg_threats *threats, __u16 port_id, const __u8 *source, __u64 now_ns)
{
	__u64 name[3] = { (__u64)SG_THREAT_SYN_FLOOD << 32 | port_id };

	memcpy(&name[1], source, 16);
	return sg_meter_of(threats->meters, threats->hash_key, name, now_ns);
}

int sg_threat_syn_flood(const struct sg_sight *sight)
{
	const struct sg_packet *p = sight->p;

	return p->dir == SEG_DIR_INGRESS &&
	       sg_meter_add(meter_of(sight->threats, p->port_id, p->saddr, sight->now_ns), &scale, sight->now_ns);
}

void sg_syn_flood_answered(struct sg_threats *threats, const struct sg_key *key, __u64 now_ns)
{
	sg_meter_take(meter_of(threats, key->port_id, key->raddr, now_ns), &scale, now_ns);
}

int sg_syn_flood_sampled(const struct sg_sight *sight, __u32 answered, __u32 of)
{
	const struct sg_packet *p = sight->p;
	struct sg_meter *meter = meter_of(sight->threats, p->port_id, p->saddr, sight->now_ns);

	if (of)
		sg_meter_scale_down(meter, &scale, (of - answered) * 256 / of, sight->now_ns);
	meter->sure = meter->over;
	return meter->sure;
}

int sg_syn_flood_is_sure(const struct sg_sight *sight)
{
	return meter_of(sight->threats, sight->p->port_id, sight->p->saddr, sight->now_ns)->sure;
}
