/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Writes the headers of a packet that the engine makes. In: addresses, protocol, length. Out: bytes. */
#ifndef SG_IP_H
#define SG_IP_H

#include "base/sg_bytes.h"
#include "packet/sg_packet.h"

struct sg_ip_head {
	const __u8 *saddr;	/* 4 or 16 bytes, as the family has it */
	const __u8 *daddr;
	__u32 payload_len;
	__u8 family;		/* enum seg_family */
	__u8 proto;
	__u8 tos;		/* IPv4 */
};

/* Begin a frame with zeroed headers. The detour's MACs need no lookup: p's own pair leads to its receiver, and swapped to
 * its sender, because a UCMAC as destination means the other direction. */
static inline void sg_put_eth(__u8 *bytes, const struct sg_packet *p, int back)
{
	memset(bytes, 0, SG_ETH_LEN + SG_IPV6_LEN + SG_TCP_LEN);
	memcpy(bytes, p->frame->data + (back ? 6 : 0), 6);
	memcpy(bytes + 6, p->frame->data + (back ? 0 : 6), 6);
	sg_put16(bytes + 12, p->ethertype);
}

/* Write an IP header without options and with DF to zeroed bytes. Returns its length. */
static inline __u32 sg_put_ip(__u8 *ip, const struct sg_ip_head *head)
{
	enum { HOPS = 64, DONT_FRAGMENT = 0x4000 };

	if (head->family == SEG_FAMILY_IPV4) {
		ip[0] = 0x45;
		ip[1] = head->tos;
		sg_put16(ip + 2, SG_IPV4_LEN + head->payload_len);
		sg_put16(ip + 6, DONT_FRAGMENT);
		ip[8] = HOPS;
		ip[9] = head->proto;
		memcpy(ip + 12, head->saddr, 4);
		memcpy(ip + 16, head->daddr, 4);
		sg_put16(ip + 10, sg_checksum(sg_sum(ip, SG_IPV4_LEN, 0)));
		return SG_IPV4_LEN;
	}
	ip[0] = 0x60;
	sg_put16(ip + 4, head->payload_len);
	ip[6] = head->proto;
	ip[7] = HOPS;
	memcpy(ip + 8, head->saddr, 16);
	memcpy(ip + 24, head->daddr, 16);
	return SG_IPV6_LEN;
}

#endif
