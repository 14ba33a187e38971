/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs' parser and the engine's decoder, beside each other, as one process without a kernel.
 *
 * In: on stdin frames, each behind struct given. Out: on stdout for each frame two struct reading, the programs' and the
 * engine's. The programs' headers are compiled as they are, over the helpers that they call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/sg_core.h"
#include "packet/sg_decode.h"
#include "session/sg_tcp.h"

struct __sk_buff {
	unsigned long data;
	unsigned long data_end;
	__u32 len;
	__u32 gso_size;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 linear;
};

/* As the programs have them. */
#undef htons
#undef ntohs
#undef ntohl
#define htons(x) __builtin_bswap16(x)
#define ntohs(x) __builtin_bswap16(x)
#define ntohl(x) __builtin_bswap32(x)
#define bpf_pseudo_fd(kind, fd) 0
#define bpf_map_lookup_elem_(map, key) ((void)(map), (void)(key), (void *)0)
#define bpf_map_update_elem_(map, key, value, flags) (-1)
#define bpf_ktime_get_ns() 0ULL
#define bpf_ktime_get_coarse_ns() 0ULL
#define bpf_get_smp_processor_id() 0U

static int bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 offset, void *to, __u32 length)
{
	if (offset > skb->len || length > skb->len - offset)
		return -14;
	memcpy(to, (const __u8 *)skb->data + offset, length);
	return 0;
}

/* As skb_vlan_pop(): what stands in the frame is the next tag. */
static int bpf_skb_vlan_pop(struct __sk_buff *skb)
{
	__u8 *frame = (__u8 *)skb->data;

	skb->vlan_present = skb->vlan_tci = 0;
	if (skb->len < 18 || frame[12] != 0x81 || frame[13] != 0)
		return 0;
	skb->vlan_present = 1;
	skb->vlan_tci = (__u32)frame[14] << 8 | frame[15];
	memmove(frame + 12, frame + 16, skb->len - 16);
	skb->len -= 4;
	skb->data_end = skb->data + (skb->data_end - skb->data > skb->len ? skb->len : skb->data_end - skb->data);
	return 0;
}

#include "lib/seg_check.h"

enum { INBOUND = 1, GSO = 2, TAGGED = 4, SHORT_HEAD = 8 };

struct given {
	__u16 length;
	__u16 tci;
	__u8 flags;
	__u8 pad;
};

/* What both take a frame for. */
enum what { MALFORMED = 1, ARP, OTHER, NEIGHBOUR, GROUP, FLOW, ASK, MISADDRESSED };

struct reading {
	__u8 what;		/* enum what. FLOW: an entry of the flow maps may decide; ASK: none may */
	__u8 family;
	__u8 proto;
	__u8 hop_limit;
	__u8 closes;
	__u8 payload;
	__u16 sport;		/* network order */
	__u16 dport;
	__u8 saddr[16];
	__u8 daddr[16];
	__u16 reason;		/* the engine's, or its kind: for who reads of a difference */
};

static int is_icmp(__u8 family, __u8 proto)
{
	return proto == (family == SEG_FAMILY_IPV4 ? SG_PROTO_ICMP : SG_PROTO_ICMPV6);
}

static int is_echo(__u8 family, __u8 type)
{
	return family == SEG_FAMILY_IPV4 ? !type || type == 8 : type == 128 || type == 129;
}

static struct reading of_programs(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	const struct seg_port port = { .flags = SEG_PORT_PASS_OTHER };
	struct reading r = { 0 };
	int reason = seg_parse_link(skb, pkt);

	if (!reason)
		reason = seg_lift_tag(skb, pkt);
	if (!reason)
		reason = seg_check_kind(skb, pkt, &port);
	if (reason) {
		r.what = reason == SEG_R_MALFORMED ? MALFORMED : reason == SEG_R_ARP ? ARP : OTHER;
		return r;
	}
	reason = seg_parse_ip(skb, pkt);
	if (!reason)
		reason = seg_check_group(pkt, &port);
	/* That a group's address goes with a group's MAC is no question of parsing. */
	if (reason == SEG_R_L2_GROUP_L3_UNICAST) {
		r.what = MISADDRESSED;
		return r;
	}
	if (reason == SEG_R_MALFORMED) {
		r.what = MALFORMED;
		return r;
	}
	r = (struct reading){
		.what = reason == SEG_R_NEIGHBOUR_DISCOVERY ? NEIGHBOUR : reason == SEG_R_GROUP ? GROUP :
			pkt->decidable && !pkt->deferred ? FLOW : ASK,
		.family = pkt->family, .proto = pkt->proto, .hop_limit = pkt->hop_limit,
		.sport = pkt->sport, .dport = pkt->dport,
	};
	if (r.what == FLOW) {
		r.closes = pkt->closes;
		r.payload = pkt->payload;
	}
	memcpy(r.saddr, pkt->saddr, 16);
	memcpy(r.daddr, pkt->daddr, 16);
	return r;
}

static int may_be_entry(const struct sg_packet *p)
{
	switch (p->kind) {
	case SG_KIND_TCP:
		return !sg_tcp_opens(p) && !sg_tcp_flags_impossible(p->tcp_flags);
	case SG_KIND_UDP:
		return 1;
	case SG_KIND_SCTP:
		return !p->opens;
	case SG_KIND_ICMP_QUERY:
	case SG_KIND_ICMP_REPLY:
		return is_echo(p->family, p->icmp_type);
	case SG_KIND_PROTO:
		return !SEG_PROTO_IS_EXTENSION(p->proto) && p->proto != SG_PROTO_ICMP && p->proto != SG_PROTO_ICMPV6;
	default:
		return 0;
	}
}

static struct reading of_engine(const struct sg_frame *frame)
{
	struct sg_packet p;
	struct reading r = { 0 };
	__u16 reason = sg_decode_link(frame, &p);

	if (!reason)
		reason = sg_decode_network(&p);
	r.reason = reason ? reason : (__u16)(p.kind << 8);
	if (reason && reason != SEG_R_SOURCE_ROUTE) {
		r.what = MALFORMED;
		return r;
	}
	if (!reason && (p.kind == SG_KIND_ARP || p.kind == SG_KIND_OTHER_ETHERTYPE)) {
		r.what = p.kind == SG_KIND_ARP ? ARP : OTHER;
		return r;
	}
	r.what = reason ? ASK : p.kind == SG_KIND_NEIGHBOUR ? NEIGHBOUR : p.kind == SG_KIND_MEMBERSHIP ? GROUP :
		 may_be_entry(&p) ? FLOW : ASK;
	r.family = p.family;
	r.proto = p.proto;
	r.hop_limit = p.hop_limit;
	r.sport = htons(p.sport);
	if (!is_icmp(p.family, p.proto) || is_echo(p.family, p.icmp_type))
		r.dport = htons(p.dport);
	if (r.what == FLOW && p.kind == SG_KIND_TCP) {
		r.closes = p.tcp_flags & SG_RST ? SEG_CLOSE_RST : p.tcp_flags & SG_FIN ? SEG_CLOSE_FIN : 0;
		r.payload = p.payload_len > 0;
	}
	memcpy(r.saddr, p.saddr, 16);
	memcpy(r.daddr, p.daddr, 16);
	return r;
}

/* As seg_hold() leaves it to the engine. */
static void detour(__u8 *bytes, int inbound)
{
	static const __u8 ucmac[6] = { SEG_UCMAC_0, SEG_UCMAC_1, SEG_UCMAC_2, SEG_UCMAC_3, 1, 7 };
	static const __u8 bcmac[6] = { SEG_BCMAC_0, SEG_BCMAC_1, SEG_BCMAC_2, SEG_BCMAC_3, 1, 7 };

	memcpy(bytes + (inbound ? 0 : 6), inbound && bytes[0] & 1 ? bcmac : ucmac, 6);
}

int main(void)
{
	static __u8 room[65536];
	struct given given;

	while (fread(&given, sizeof(given), 1, stdin) == 1) {
		/* Of exactly its size, so that one byte beyond is a fault. */
		__u8 *bytes = malloc(given.length);
		__u32 linear = given.flags & SHORT_HEAD && given.length > 14 ? 14 : given.length;
		struct __sk_buff skb = {
			.len = given.length, .gso_size = given.flags & GSO ? 1000 : 0,
			.vlan_present = !!(given.flags & TAGGED), .vlan_tci = given.flags & TAGGED ? given.tci : 0,
		};
		struct sg_frame frame = { 0 };
		struct reading both[2];
		struct seg_pkt pkt;

		if (!bytes || fread(room, 1, given.length, stdin) != given.length)
			return 2;
		memcpy(bytes, room, given.length);
		skb.data = (unsigned long)bytes;
		skb.data_end = skb.data + linear;
		both[0] = of_programs(&skb, &pkt);
		detour(bytes, given.flags & INBOUND);
		frame.data = bytes;
		frame.len = frame.wire_len = skb.len;
		frame.has_vlan = !!skb.vlan_present;
		frame.vlan_tci = (__u16)skb.vlan_tci;
		frame.vnet[1] = given.flags & GSO ? 1 : 0;
		both[1] = of_engine(&frame);
		if (fwrite(both, sizeof(both), 1, stdout) != 1)
			return 2;
		free(bytes);
	}
	return 0;
}
