/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Transport decoder: TCP, UDP, SCTP, ICMP, ICMPv6; anything else is known by its number alone.
 * In: a packet whose l4 offset is set. Out: kind, ports, flags, or MALFORMED (a first fragment that
 * does not hold its header: FRAGMENT_TINY). */
#include <linux/virtio_net.h>

#include "base/sg_bytes.h"
#include "packet/sg_decode_l4.h"
#include "packet/sg_packet.h"

/* Query types, each followed by its reply type. */
static const __u8 queries_v4[][2] = { { 8, 0 }, { 13, 14 }, { 15, 16 }, { 17, 18 } };
static const __u8 queries_v6[][2] = { { 128, 129 } };

static int is_error(int family, __u8 type)
{
	if (family == SEG_FAMILY_IPV6)
		return type < 128;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static int is_membership(__u8 type)
{
	return (type >= 130 && type <= 132) || type == 143;
}

void sg_decode_icmp(struct sg_packet *p, const __u8 *at)
{
	int v6 = p->family == SEG_FAMILY_IPV6;
	const __u8 (*table)[2] = v6 ? queries_v6 : queries_v4;
	unsigned int count = v6 ? 1 : sizeof(queries_v4) / 2;

	p->icmp_type = at[0];
	p->icmp_code = at[1];
	p->icmp_id = sg_get16(at + 4);
	p->sport = sg_get16(at);
	p->dport = p->icmp_id;
	p->kind = SG_KIND_ICMP_OTHER;
	if (is_error(p->family, p->icmp_type))
		p->kind = SG_KIND_ICMP_ERROR;
	else if (v6 && p->icmp_type >= 133 && p->icmp_type <= 137 && p->hop_limit == 255)
		p->kind = SG_KIND_NEIGHBOUR;
	else if (v6 && p->hop_limit == 1 && p->daddr[0] == 0xff && is_membership(p->icmp_type) &&
		 sg_mac_is_group(p->frame->data))
		p->kind = SG_KIND_MEMBERSHIP;
	for (unsigned int i = 0; p->kind == SG_KIND_ICMP_OTHER && !p->icmp_code && i < count; i++) {
		if (p->icmp_type == table[i][0])
			p->kind = SG_KIND_ICMP_QUERY;
		else if (p->icmp_type == table[i][1])
			p->kind = SG_KIND_ICMP_REPLY;
		p->icmp_query = table[i][0];
	}
}

static __u16 decode_tcp(struct sg_packet *p, const __u8 *at, __u32 total)
{
	__u32 header = (at[12] >> 4) * 4U;

	if (header < SG_TCP_LEN || header > total)
		return SEG_R_MALFORMED;
	p->kind = SG_KIND_TCP;
	p->sport = sg_get16(at);
	p->dport = sg_get16(at + 2);
	p->seq = sg_get32(at + 4);
	p->ack = sg_get32(at + 8);
	p->tcp_flags = at[13] & 0x3f;
	p->payload_len = total - header;
	return SEG_R_NONE;
}

static __u16 decode_udp(struct sg_packet *p, const __u8 *at, __u32 total)
{
	__u32 length = sg_get16(at + 4);

	if (!length && (sg_frame_is_gso(p->frame) || total > 65535))
		length = total;
	if (length < SG_UDP_LEN || length > total)
		return SEG_R_MALFORMED;
	p->kind = SG_KIND_UDP;
	p->sport = sg_get16(at);
	p->dport = sg_get16(at + 2);
	p->payload_len = length - SG_UDP_LEN;
	return SEG_R_NONE;
}

__u16 sg_decode_transport(struct sg_packet *p, __u32 present, __u32 total)
{
	const __u8 *at = p->frame->data + p->l4;
	__u16 cut = present < total ? SEG_R_FRAGMENT_TINY : SEG_R_MALFORMED;

	switch (p->proto) {
	case SG_PROTO_TCP:
		return present < SG_TCP_LEN ? cut : decode_tcp(p, at, total);
	case SG_PROTO_UDP:
		return present < SG_UDP_LEN ? cut : decode_udp(p, at, total);
	case SG_PROTO_ICMP:
	case SG_PROTO_ICMPV6:
		if ((p->proto == SG_PROTO_ICMPV6) != (p->family == SEG_FAMILY_IPV6))
			break;	/* the other family's: no stack accepts it */
		if (present < SG_ICMP_LEN)
			return cut;
		sg_decode_icmp(p, at);
		/* No host sends ND after extension headers, but Linux would accept it. */
		return p->kind == SG_KIND_NEIGHBOUR && p->extended ? SEG_R_MALFORMED : SEG_R_NONE;
	case SG_PROTO_SCTP:
		if (present < SG_SCTP_LEN)
			return cut;
		p->kind = SG_KIND_SCTP;
		p->sport = sg_get16(at);
		p->dport = sg_get16(at + 2);
		p->opens = at[12] == 1;
		return SEG_R_NONE;
	default:
		break;
	}
	p->kind = SG_KIND_PROTO;
	return SEG_R_NONE;
}

int sg_tcp_checksum_is_right(const struct sg_packet *p)
{
	const __u8 *tcp = p->frame->data + p->l4;
	__u32 address = p->family == SEG_FAMILY_IPV6 ? 16 : 4, pseudo = SG_PROTO_TCP + p->l4_len;
	struct virtio_net_hdr vnet;

	memcpy(&vnet, p->frame->vnet, sizeof(vnet));
	if (vnet.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		return 1;
	pseudo = sg_sum(p->saddr, address, sg_sum(p->daddr, address, pseudo));
	if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return (~sg_checksum(pseudo) & 0xffff) % 0xffff == sg_get16(tcp + 16) % 0xffff;
	return !sg_checksum(sg_sum(tcp, p->l4_len, pseudo));
}
