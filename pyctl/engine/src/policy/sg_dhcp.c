/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Classifies DHCP; see the header. In: a new flow. Out: enum sg_dhcp. No I/O.
 * A client's broadcast may leave any workload. Clients' messages, broadcast or not, come only to workloads that serve. */
#include "policy/sg_dhcp.h"

#include <string.h>

#include "packet/sg_packet.h"

struct side {
	__u16 client;
	__u16 server;
	__u8 everybody[16];	/* where a client broadcasts */
};

static const struct side V4 = { 68, 67, { 255, 255, 255, 255 } };
static const struct side V6 = { 546, 547, { 0xff, 0x02, [13] = 0x01, [15] = 0x02 } };

int sg_dhcp_is_port(__u16 port)
{
	return port == V4.client || port == V4.server || port == V6.client || port == V6.server;
}

enum sg_dhcp sg_dhcp_of(const struct sg_policy_query *q, int serves)
{
	const struct side *side = q->family == SEG_FAMILY_IPV4 ? &V4 : &V6;
	int out = q->dir == SEG_DIR_EGRESS;

	if (q->proto != SG_PROTO_UDP)
		return SG_DHCP_NOT;
	if (q->from_port == side->client && q->port == side->server)
		return (out ? !memcmp(q->peer, side->everybody, 16) : serves) ? SG_DHCP_FREE : SG_DHCP_NOT;
	if (q->from_port == side->server && q->port == side->client && out)
		return serves ? SG_DHCP_FREE : SG_DHCP_NOT_SERVED;
	return SG_DHCP_NOT;
}
