/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Link and network decoder. Trusts nothing before the length check.
 * In: struct sg_frame. Out: struct sg_packet fields, or one reason.
 * IP lengths of zero are accepted for super-frames only (BIG TCP); everywhere else the receiving
 * stack would drop them, so what we would judge is not what it would read. */
#include "packet/sg_decode.h"
#include "packet/sg_decode_l4.h"

#include <linux/virtio_net.h>

#include "base/sg_bytes.h"

enum {
	OPTION_END = 0, OPTION_NOP = 1, OPTION_LOOSE_ROUTE = 131, OPTION_STRICT_ROUTE = 137,
	NEXT_HOP_BY_HOP = 0, NEXT_ROUTING = 43, NEXT_FRAGMENT = 44, NEXT_DESTINATION = 60,
	OPTION_PAD1 = 0, OPTION_JUMBO = 0xc2,
};

/* Where a walk through IPv6 extension headers stands. */
struct walk {
	__u32 at;	/* offset of the next header */
	__u32 end;	/* no header reaches beyond */
	__u8 next;
};

__u16 sg_decode_link(const struct sg_frame *frame, struct sg_packet *p)
{
	const __u8 *at = frame->data;
	int to, from;

	memset(p, 0, sizeof(*p));
	p->frame = frame;
	p->frames = 1;
	p->bytes = frame->wire_len > frame->len ? frame->wire_len : frame->len;
	if (frame->len < SG_ETH_LEN)
		return SEG_R_MALFORMED;
	to = sg_mac_is_detour(at) || sg_mac_is_bcmac(at);
	from = sg_mac_is_detour(at + 6);
	if (to == from)
		return SEG_R_DETOUR_MACS;
	p->port_id = sg_get16(at + (to ? 4 : 10));
	if (!p->port_id)
		return SEG_R_DETOUR_MACS;
	p->dir = to ? SEG_DIR_INGRESS : SEG_DIR_EGRESS;
	p->to_group = to ? sg_mac_is_bcmac(at) : at[0] & 1;
	p->ethertype = sg_get16(at + 12);
	p->l3 = SG_ETH_LEN;
	return SEG_R_NONE;
}

/* Behind an option that does not fit, no stack reads on. */
static int names_route(const __u8 *ip, __u32 header)
{
	__u32 i = SG_IPV4_LEN;

	while (i < header && ip[i] != OPTION_END) {
		if (ip[i] == OPTION_LOOSE_ROUTE || ip[i] == OPTION_STRICT_ROUTE)
			return 1;
		if (ip[i] != OPTION_NOP && (i + 1 == header || ip[i + 1] < 2))
			return 0;
		i += ip[i] == OPTION_NOP ? 1 : ip[i + 1];
	}
	return 0;
}

static __u16 decode_ipv4(struct sg_packet *p)
{
	const __u8 *ip = p->frame->data + p->l3;
	__u32 space = p->frame->len - p->l3, header, total, fragment;

	if (space < SG_IPV4_LEN)
		return SEG_R_MALFORMED;
	header = (ip[0] & 0x0fU) * 4;
	if (ip[0] >> 4 != 4 || header < SG_IPV4_LEN || header > space)
		return SEG_R_MALFORMED;
	p->family = SEG_FAMILY_IPV4;
	memcpy(p->saddr, ip + 12, 4);
	memcpy(p->daddr, ip + 16, 4);
	p->proto = ip[9];
	p->hop_limit = ip[8];
	p->to_group |= (ip[16] & 0xf0) == 0xe0 || (ip[16] & ip[17] & ip[18] & ip[19]) == 0xff;
	p->extended = header > SG_IPV4_LEN;
	total = sg_get16(ip + 2);
	if (!total && (sg_frame_is_gso(p->frame) || space > 65535))
		total = space;
	if (total < header || total > space)
		return SEG_R_MALFORMED;
	p->l4 = p->l3 + header;
	p->l4_len = total - header;
	if (names_route(ip, header))
		return SEG_R_SOURCE_ROUTE;
	fragment = sg_get16(ip + 6);
	if (!(fragment & 0x3fff)) {
		if (p->proto == SG_PROTO_IGMP && p->hop_limit == 1 && (ip[16] & 0xf0) == 0xe0 &&
		    header <= SG_IGMP_IP_LEN && sg_mac_is_group(p->frame->data))
			p->kind = SG_KIND_MEMBERSHIP;
		return p->kind ? SEG_R_NONE : sg_decode_transport(p, p->l4_len, p->l4_len);
	}
	p->kind = SG_KIND_FRAGMENT;
	p->frag_id = sg_get16(ip + 4);
	p->frag_offset = (fragment & 0x1fff) * 8;
	p->frag_more = (fragment & 0x2000) != 0;
	return SEG_R_NONE;
}

/* The payload length a jumbo option gives; 0 = there is none, -1 = the options do not parse. */
static __s64 jumbo_length(const __u8 *at, __u32 length)
{
	__u32 i = 2;

	while (i < length) {
		if (at[i] == OPTION_PAD1) {
			i++;
			continue;
		}
		if (i + 2 > length || i + 2 + at[i + 1] > length)
			return -1;
		if (at[i] == OPTION_JUMBO)
			return at[i + 1] == 4 ? (__s64)sg_get32(at + i + 2) : -1;
		i += 2U + at[i + 1];
	}
	return 0;
}

/* Step over one generic extension header; 0, or -1 where it does not fit. */
static int step(const __u8 *data, struct walk *w, __u32 *length)
{
	if (w->at > w->end || w->end - w->at < 8)
		return -1;
	*length = (data[w->at + 1] + 1U) * 8;
	if (*length > w->end - w->at)
		return -1;
	w->next = data[w->at];
	w->at += *length;
	return 0;
}

/* Walk to the transport header or to a fragment header that really splits. `first` tells that a
 * hop-by-hop header may stand here. */
static __u16 walk_extensions(struct sg_packet *p, struct walk *w, int first)
{
	const __u8 *data = p->frame->data;

	for (int depth = 0; depth < SG_IPV6_EXTENSIONS_MAX; depth++, first = 0) {
		const __u8 *at = data + w->at;
		__u32 length;

		switch (w->next) {
		case NEXT_HOP_BY_HOP:
			if (!first)
				return SEG_R_MALFORMED;
			__attribute__((fallthrough));
		case NEXT_DESTINATION:
			p->extended = 1;
			if (step(data, w, &length))
				return SEG_R_MALFORMED;
			break;
		case NEXT_ROUTING:
			p->extended = 1;
			if (step(data, w, &length))
				return SEG_R_MALFORMED;
			/* It names other destinations than the one judged. */
			if (at[3] != 0)
				return SEG_R_SOURCE_ROUTE;
			break;
		case NEXT_FRAGMENT:
			p->extended = 1;
			if (w->end - w->at < 8)
				return SEG_R_MALFORMED;
			w->next = at[0];
			w->at += 8;
			p->frag_offset = sg_get16(at + 2) & 0xfff8U;
			p->frag_more = at[3] & 1;
			p->frag_id = sg_get32(at + 4);
			if (p->frag_offset || p->frag_more) {
				p->kind = SG_KIND_FRAGMENT;
				return SEG_R_NONE;
			}
			break;	/* atomic: a whole packet, judged as it is */
		default:
			return SEG_R_NONE;
		}
	}
	return SEG_R_MALFORMED;
}

static __u16 decode_ipv6(struct sg_packet *p)
{
	const __u8 *ip = p->frame->data + p->l3;
	__u32 space = p->frame->len - p->l3, length;
	struct walk w;
	__u16 reason;

	if (space < SG_IPV6_LEN || ip[0] >> 4 != 6)
		return SEG_R_MALFORMED;
	p->family = SEG_FAMILY_IPV6;
	memcpy(p->saddr, ip + 8, 16);
	memcpy(p->daddr, ip + 24, 16);
	p->hop_limit = ip[7];
	p->to_group |= ip[24] == 0xff;
	space -= SG_IPV6_LEN;
	length = sg_get16(ip + 4);
	if (!length && (sg_frame_is_gso(p->frame) || space > 65535))
		length = space;
	if (!length && ip[6] == NEXT_HOP_BY_HOP && space >= 8) {
		__u32 options = (ip[SG_IPV6_LEN + 1] + 1U) * 8;
		__s64 jumbo = options <= space ? jumbo_length(ip + SG_IPV6_LEN, options) : -1;

		if (jumbo <= 65535 || jumbo > space)
			return SEG_R_MALFORMED;
		length = (__u32)jumbo;
	}
	if (length > space)
		return SEG_R_MALFORMED;
	w.at = p->l3 + SG_IPV6_LEN;
	w.end = w.at + length;
	w.next = ip[6];
	reason = walk_extensions(p, &w, 1);
	if (reason)
		return reason;
	p->proto = w.next;
	p->l4 = w.at;
	p->l4_len = w.end - w.at;
	if (p->kind == SG_KIND_FRAGMENT)
		return SEG_R_NONE;
	return sg_decode_transport(p, p->l4_len, p->l4_len);
}

__u16 sg_decode_network(struct sg_packet *p)
{
	switch (p->ethertype) {
	case SG_ETH_IPV4:
		return decode_ipv4(p);
	case SG_ETH_IPV6:
		return decode_ipv6(p);
	case SG_ETH_ARP:
		p->kind = SG_KIND_ARP;
		return SEG_R_NONE;
	default:
		p->kind = SG_KIND_OTHER_ETHERTYPE;
		return SEG_R_NONE;
	}
}

static __u32 csum_place(const struct sg_packet *p)
{
	switch (p->proto) {
	case SG_PROTO_TCP:
		return 16;
	case SG_PROTO_UDP:
		return 6;
	case SG_PROTO_SCTP:
		return 8;
	case SG_PROTO_ICMP:
	case SG_PROTO_ICMPV6:
		return 2;
	default:
		return ~0U;	/* it has none */
	}
}

__u16 sg_decode_csum(const struct sg_packet *p)
{
	struct virtio_net_hdr vnet;
	__u32 field;

	memcpy(&vnet, p->frame->vnet, sizeof(vnet));
	if (p->dir != SEG_DIR_EGRESS || !(vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
	    p->kind == SG_KIND_OTHER_ETHERTYPE)
		return SEG_R_NONE;
	if (p->kind == SG_KIND_ARP || p->kind == SG_KIND_FRAGMENT)
		return SEG_R_CSUM_PLACE;
	field = vnet.csum_start + vnet.csum_offset;
	if (field - p->l4 == csum_place(p))
		return SEG_R_NONE;
	return field < p->l4 + (p->proto == SG_PROTO_TCP ? 16 : 8) ? SEG_R_CSUM_PLACE : SEG_R_NONE;
}

__u16 sg_decode_reassembled(struct sg_packet *p, __u32 total)
{
	struct walk w = { .at = p->l4, .end = p->l4 + p->l4_len, .next = p->proto };
	__u32 present;
	__u16 reason;

	p->kind = 0;
	p->extended = 1;
	if (p->family == SEG_FAMILY_IPV6) {
		reason = walk_extensions(p, &w, 0);
		if (reason)
			return reason == SEG_R_SOURCE_ROUTE ? reason : SEG_R_FRAGMENT_TINY;
		/* A fragment header inside a fragment. */
		if (p->kind == SG_KIND_FRAGMENT)
			return SEG_R_MALFORMED;
	}
	present = w.end - w.at;
	total -= w.at - p->l4;
	p->proto = w.next;
	p->l4 = w.at;
	p->l4_len = present;
	return sg_decode_transport(p, present, total);
}

/* Only what leads to the flow: the quoted packet is cut off anywhere after 8 bytes of transport. */
int sg_decode_quoted(const struct sg_packet *p, struct sg_packet *inner)
{
	const __u8 *data = p->frame->data, *ip;
	struct walk w = { .at = p->l4 + SG_ICMP_LEN, .end = p->l4 + p->l4_len };
	__u32 header;

	memset(inner, 0, sizeof(*inner));
	inner->frame = p->frame;
	inner->port_id = p->port_id;
	inner->family = p->family;
	inner->dir = p->dir == SEG_DIR_INGRESS ? SEG_DIR_EGRESS : SEG_DIR_INGRESS;
	if (p->l4_len < SG_ICMP_LEN + SG_IPV4_LEN)
		return -1;
	ip = data + w.at;
	if (p->family == SEG_FAMILY_IPV4) {
		header = (ip[0] & 0x0fU) * 4;
		if (ip[0] >> 4 != 4 || header < SG_IPV4_LEN || sg_get16(ip + 6) & 0x1fff)
			return -1;
		memcpy(inner->saddr, ip + 12, 4);
		memcpy(inner->daddr, ip + 16, 4);
		w.next = ip[9];
		w.at += header;
	} else {
		if (p->l4_len < SG_ICMP_LEN + SG_IPV6_LEN || ip[0] >> 4 != 6)
			return -1;
		memcpy(inner->saddr, ip + 8, 16);
		memcpy(inner->daddr, ip + 24, 16);
		w.next = ip[6];
		w.at += SG_IPV6_LEN;
		if (walk_extensions(inner, &w, 1))
			return -1;
		if (inner->kind == SG_KIND_FRAGMENT && inner->frag_offset)
			return -1;
	}
	/* The error goes to the sender of the quoted packet. */
	if (memcmp(p->daddr, inner->saddr, 16) || w.at > w.end)
		return -1;
	inner->proto = w.next;
	inner->l4 = w.at;
	inner->l4_len = w.end - w.at;
	inner->kind = SG_KIND_PROTO;
	switch (inner->proto) {
	case SG_PROTO_TCP:
	case SG_PROTO_UDP:
	case SG_PROTO_SCTP:
		if (inner->l4_len < 8)
			return -1;
		inner->kind = inner->proto == SG_PROTO_TCP ? SG_KIND_TCP :
			      inner->proto == SG_PROTO_UDP ? SG_KIND_UDP : SG_KIND_SCTP;
		inner->sport = sg_get16(data + inner->l4);
		inner->dport = sg_get16(data + inner->l4 + 2);
		return 0;
	case SG_PROTO_ICMP:
	case SG_PROTO_ICMPV6:
		if ((inner->proto == SG_PROTO_ICMPV6) != (p->family == SEG_FAMILY_IPV6))
			return 0;
		if (inner->l4_len < SG_ICMP_LEN)
			return -1;
		sg_decode_icmp(inner, data + inner->l4);
		if (inner->kind == SG_KIND_ICMP_QUERY || inner->kind == SG_KIND_ICMP_REPLY)
			return 0;
		return -1;
	default:
		return 0;
	}
}
