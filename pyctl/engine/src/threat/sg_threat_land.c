/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Land attack: a packet from the address and port that it goes to. */
#include "threat/sg_threat.h"

int sg_threat_land(const struct sg_sight *sight)
{
	const struct sg_packet *p = sight->p;

	return (p->kind == SG_KIND_TCP || p->kind == SG_KIND_UDP) && p->sport == p->dport && !p->to_group &&
	       !memcmp(p->saddr, p->daddr, sizeof(p->saddr));
}
