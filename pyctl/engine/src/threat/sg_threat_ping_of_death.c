/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Ping of death: a query of ICMP, or what is neither query, reply nor error, of more than 32,000 bytes after joining. */
#include "threat/sg_threat.h"

enum { MOST = 32000 };

int sg_threat_ping_of_death(const struct sg_sight *sight)
{
	const struct sg_packet *p = sight->p;
	/* Each fragment has its own headers. */
	__u32 heads = p->l4 * p->frames + SG_ICMP_LEN;

	return (p->kind == SG_KIND_ICMP_QUERY || p->kind == SG_KIND_ICMP_OTHER) && p->bytes > heads + MOST;
}
