/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Builds rejections; see the header. In: the packet that must not pass. Out: one frame's bytes, or none. UDP gets "port
 * unreachable", so that a connected socket fails at once; other protocols "prohibited". The packet is quoted up to the
 * RFCs' limit (576 bytes in all for IPv4, 1280 for IPv6), so an answer is at most 48 bytes longer than the packet. */
#include "packet/sg_reject.h"

#include "packet/sg_ip.h"
#include "packet/sg_reset.h"

enum {
	V4_MAX = 576, V6_MAX = SG_REJECT_BYTES - SG_ETH_LEN,
	V4_UNREACHABLE = 3, V4_PORT = 3, V4_PROHIBITED = 13,
	V6_UNREACHABLE = 1, V6_PORT = 4, V6_PROHIBITED = 1,
	INTERNETWORK_CONTROL = 0xc0,
};

/* Whether the address is a single host's, and not loopback: it can receive an answer, or be the source of one. */
static int is_host(const struct sg_packet *p, const __u8 *address)
{
	static const __u8 zero[16];

	if (p->family == SEG_FAMILY_IPV4)
		return address[0] && address[0] != 127 && address[0] < 224;
	return address[0] != 0xff && memcmp(address, zero, sizeof(zero));
}

int sg_may_be_rejected(const struct sg_packet *p)
{
	/* The receiver's MAC in p is a group's. */
	if (p->frame->data[0] & 1 || p->frames > 1 || p->extended)
		return 0;
	if (!is_host(p, p->saddr) || !is_host(p, p->daddr))
		return 0;
	return p->kind == SG_KIND_TCP || p->kind == SG_KIND_UDP || p->kind == SG_KIND_PROTO ||
	       p->kind == SG_KIND_SCTP || p->kind == SG_KIND_ICMP_QUERY;
}

/* Write the ICMP error for p's sender. Returns its length. */
static __u32 put_unreachable(__u8 *ip, const struct sg_packet *p, __u32 quoted)
{
	int v6 = p->family == SEG_FAMILY_IPV6, udp = p->kind == SG_KIND_UDP;
	struct sg_ip_head head = {
		.saddr = p->daddr, .daddr = p->saddr, .payload_len = SG_ICMP_LEN + quoted,
		.family = p->family, .proto = v6 ? SG_PROTO_ICMPV6 : SG_PROTO_ICMP,
		.tos = INTERNETWORK_CONTROL,
	};
	__u32 head_len = sg_put_ip(ip, &head);
	__u8 *icmp = ip + head_len;
	__u32 sum;

	icmp[0] = v6 ? V6_UNREACHABLE : V4_UNREACHABLE;
	icmp[1] = v6 ? (udp ? V6_PORT : V6_PROHIBITED) : (udp ? V4_PORT : V4_PROHIBITED);
	memcpy(icmp + SG_ICMP_LEN, p->frame->data + p->l3, quoted);
	/* ICMPv6's checksum covers the addresses too. */
	sum = v6 ? sg_sum(ip + 8, 32, head.payload_len + SG_PROTO_ICMPV6) : 0;
	sg_put16(icmp + 2, sg_checksum(sg_sum(icmp, head.payload_len, sum)));
	return head_len + head.payload_len;
}

__u32 sg_reject(const struct sg_packet *p, __u8 *bytes)
{
	int v6 = p->family == SEG_FAMILY_IPV6;
	__u32 most = v6 ? V6_MAX - SG_IPV6_LEN - SG_ICMP_LEN : V4_MAX - SG_IPV4_LEN - SG_ICMP_LEN;
	__u32 whole = p->l4 + p->l4_len - p->l3;

	if (p->kind == SG_KIND_TCP)
		return sg_reset_sender(p, bytes);
	sg_put_eth(bytes, p, 1);
	return SG_ETH_LEN + put_unreachable(bytes + SG_ETH_LEN, p, whole < most ? whole : most);
}
