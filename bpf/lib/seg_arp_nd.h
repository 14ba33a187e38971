/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks ARP, neighbour discovery and multicast membership. No rule judges them and every neighbour believes them, so
 * they must name the sending workload alone, be small, and be few.
 *
 * In every mode, a message that names an attached workload must come from that workload.
 *
 * API: seg_arp_out(), seg_nd_out(), seg_redirect_out(), seg_membership_out() for vin, seg_arp_in(), seg_nd_in(),
 * seg_redirect_in() for vex. Each returns the reason that settles the frame.
 */
#ifndef SEG_ARP_ND_H
#define SEG_ARP_ND_H

#include "lib/seg_identity.h"

/* 16 KiB/s (390 ARP frames) on average; a burst may have 2 s of that. */
enum seg_neigh_limit {
	SEG_PACE_NS_PER_BYTE = 61035,
	SEG_PACE_BURST_NS = 2000000000,
	SEG_ARP_FRAME = 60,		/* with Ethernet's padding */
	SEG_ND_OPTIONS = 3,		/* of eight bytes each */
	SEG_ND_FRAME = ETH_HLEN + 40 + 24 + SEG_ND_OPTIONS * 8,
};

enum seg_arp_value {
	SEG_ARP_ETHERNET = 1, SEG_ARP_REQUEST = 1, SEG_ARP_REPLY = 2,
};

enum seg_nd_type {
	SEG_ND_ROUTER_SOLICITATION = 133, SEG_ND_ROUTER_ADVERTISEMENT = 134,
	SEG_ND_SOLICITATION = 135, SEG_ND_ADVERTISEMENT = 136, SEG_ND_REDIRECT = 137,
	SEG_ND_SOURCE_LLADDR = 1, SEG_ND_TARGET_LLADDR = 2,
	SEG_ICMP_REDIRECT = 5,
};

/* RFC 826, for Ethernet and IPv4. */
struct seg_arp {
	__u16 hardware;
	__u16 protocol;
	__u8 hardware_len;
	__u8 protocol_len;
	__u16 operation;
	__u8 smac[6];
	__u8 saddr[4];
	__u8 dmac[6];
	__u8 daddr[4];
};

/* RFC 4861: a solicitation or an advertisement. */
struct seg_nd {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 flags;
	__u8 target[16];
};

struct seg_nd_option {
	__u8 type;
	__u8 len;		/* of eight bytes */
	__u8 lladdr[6];
};

SEG_INLINE int seg_is_own(const struct seg_port *port, __u8 family, const __u8 *addr)
{
	return port->flags & SEG_PORT_ANY_SOURCE || seg_addr_is(family, port->owner, addr, SEG_ADDR_OWN);
}

/* Whether a probe for this address would take it from its owner, or from one who may get it back. The address becomes
 * the packet's source. */
SEG_INLINE int seg_takes(struct seg_pkt *pkt, const struct seg_port *port, const __u8 *addr)
{
	struct seg_owner owner;

	if (seg_is_own(port, pkt->family, addr))
		return 0;
	__builtin_memcpy(pkt->saddr, addr, sizeof(pkt->saddr));
	return !!seg_known_of(pkt, 0, &owner);
}

/* Charges the frame to its port's pace; 1: the port is too fast. */
SEG_INLINE int seg_outpaces(const struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_coarse_ns(), cost = (__u64)skb->len * SEG_PACE_NS_PER_BYTE;
	__u32 ifindex = skb->ifindex;
	struct seg_port *port = seg_map_lookup(seg_ports, &ifindex);
	__s64 ahead = port ? (__s64)(port->paced_ns - now) : 0;

	if (!port || ahead > SEG_PACE_BURST_NS)
		return 1;
	if (ahead < 0)
		port->paced_ns = now + cost;
	else
		__sync_fetch_and_add(&port->paced_ns, cost);
	return 0;
}

/* The sender's and the target's address become the packet's addresses. */
SEG_INLINE int seg_parse_arp(struct __sk_buff *skb, struct seg_pkt *pkt, struct seg_arp *arp)
{
	if (seg_read(skb, ETH_HLEN, arp, sizeof(*arp)) < 0)
		return SEG_R_MALFORMED;
	if (arp->hardware != htons(SEG_ARP_ETHERNET) || arp->protocol != htons(ETH_P_IP) ||
	    arp->hardware_len != ETH_ALEN || arp->protocol_len != sizeof(arp->saddr) ||
	    (arp->operation != htons(SEG_ARP_REQUEST) && arp->operation != htons(SEG_ARP_REPLY)))
		return SEG_R_MALFORMED;
	pkt->family = SEG_FAMILY_IPV4;
	__builtin_memcpy(pkt->saddr, arp->saddr, sizeof(arp->saddr));
	__builtin_memcpy(pkt->daddr, arp->daddr, sizeof(arp->daddr));
	return SEG_R_NONE;
}

SEG_INLINE int seg_arp_out(struct __sk_buff *skb, struct seg_pkt *pkt, const struct seg_port *port)
{
	struct seg_arp arp;

	if (skb->len > SEG_ARP_FRAME || seg_parse_arp(skb, pkt, &arp))
		return SEG_R_MALFORMED;
	/* A probe from 0.0.0.0 (RFC 5227). */
	if (seg_is_unspecified(pkt)) {
		if (seg_takes(pkt, port, pkt->daddr))
			return SEG_R_TAKEN_IP;
	} else if (!seg_is_own(port, SEG_FAMILY_IPV4, pkt->saddr)) {
		return seg_owner_of(pkt, 0) ? SEG_R_TAKEN_IP : SEG_R_ARP_SPOOFED;
	}
	if (!seg_mac_equal(arp.smac, port->mac))
		return SEG_R_ARP_SPOOFED;
	return seg_outpaces(skb) ? SEG_R_ARP_ND_RATE : SEG_R_ARP;
}

/* Checks the options from `at` on: a link-layer address must be the workload's. */
SEG_INLINE int seg_nd_options(struct __sk_buff *skb, const struct seg_pkt *pkt,
			      const struct seg_port *port, __u32 at)
{
	struct seg_nd_option option;

#pragma unroll
	for (int i = 0; i < SEG_ND_OPTIONS; i++) {
		if (at >= pkt->end)
			break;
		if (at + sizeof(option) > pkt->end ||
		    bpf_skb_load_bytes(skb, at, &option, sizeof(option)) < 0 || !option.len)
			return SEG_R_MALFORMED;
		if ((option.type == SEG_ND_SOURCE_LLADDR || option.type == SEG_ND_TARGET_LLADDR) &&
		    (option.len != 1 || !seg_mac_equal(option.lladdr, port->mac)))
			return SEG_R_ND_SPOOFED;
		at += option.len * 8U;
	}
	return at == pkt->end ? SEG_R_NONE : SEG_R_MALFORMED;
}

/* For a packet that seg_is_neighbour_discovery() accepts, after its source address was checked. */
SEG_INLINE int seg_nd_out(struct __sk_buff *skb, struct seg_pkt *pkt, const struct seg_port *port)
{
	__u8 type = pkt->icmp_type;
	int reason, solicits_router = type == SEG_ND_ROUTER_SOLICITATION;
	struct seg_nd nd;

	if (type == SEG_ND_ROUTER_ADVERTISEMENT || type == SEG_ND_REDIRECT) {
		if (!(port->flags & SEG_PORT_SERVES_ROUTER))
			return SEG_R_NOT_SERVED;
	} else {
		if (skb->len > SEG_ND_FRAME)
			return SEG_R_MALFORMED;
		if (!solicits_router && (pkt->l4 + sizeof(nd) > pkt->end ||
					 bpf_skb_load_bytes(skb, pkt->l4, &nd, sizeof(nd)) < 0))
			return SEG_R_MALFORMED;
		if (type == SEG_ND_ADVERTISEMENT && !seg_is_own(port, SEG_FAMILY_IPV6, nd.target)) {
			__builtin_memcpy(pkt->saddr, nd.target, sizeof(nd.target));
			return seg_owner_of(pkt, 0) ? SEG_R_TAKEN_IP : SEG_R_ND_SPOOFED;
		}
		/* A probe from :: (RFC 4862). */
		if (type == SEG_ND_SOLICITATION && seg_is_unspecified(pkt) &&
		    seg_takes(pkt, port, nd.target))
			return SEG_R_TAKEN_IP;
		reason = seg_nd_options(skb, pkt, port, pkt->l4 + (solicits_router ? 8 : sizeof(nd)));
		if (reason)
			return reason;
	}
	return seg_outpaces(skb) ? SEG_R_ARP_ND_RATE : SEG_R_NEIGHBOUR_DISCOVERY;
}

/* Checks the MAC inside the message, which the receiver believes, and not the frame's. */
SEG_INLINE int seg_arp_in(struct __sk_buff *skb, struct seg_pkt *pkt, const struct seg_port *port)
{
	struct seg_arp arp;
	int reason;

	if ((reason = seg_parse_arp(skb, pkt, &arp)))
		return reason;
	if (seg_is_unspecified(pkt)) {
		__builtin_memcpy(pkt->saddr, arp.daddr, sizeof(arp.daddr));
		reason = seg_check_probed(pkt, port);
		return reason ? reason : SEG_R_ARP;
	}
	__builtin_memcpy(pkt->smac, arp.smac, sizeof(arp.smac));
	reason = seg_check_peer(pkt, port);
	return reason ? reason : SEG_R_ARP;
}

/* IPv4's (RFC 792). */
SEG_INLINE int seg_is_redirect(const struct seg_pkt *pkt)
{
	return pkt->family == SEG_FAMILY_IPV4 && pkt->proto == IPPROTO_ICMP && !pkt->deferred &&
	       pkt->icmp_type == SEG_ICMP_REDIRECT;
}

SEG_INLINE int seg_redirect_out(struct __sk_buff *skb, const struct seg_port *port)
{
	if (!(port->flags & SEG_PORT_SERVES_ROUTER))
		return SEG_R_NOT_SERVED;
	return seg_outpaces(skb) ? SEG_R_ARP_ND_RATE : SEG_R_NEIGHBOUR_DISCOVERY;
}

/* A redirect can steal a route, and without it packets only take a longer way. So it is accepted only from a workload
 * that an operator declared a router. */
SEG_INLINE int seg_redirect_in(const struct seg_pkt *pkt, const struct seg_port *port)
{
	return seg_is_served(pkt, port, SEG_SERVES_ROUTER) ? SEG_R_NEIGHBOUR_DISCOVERY : SEG_R_NOT_SERVED;
}

/* For a packet that seg_is_neighbour_discovery() accepts, after its source address was checked. */
SEG_INLINE int seg_nd_in(struct __sk_buff *skb, struct seg_pkt *pkt, const struct seg_port *port)
{
	__u8 type = pkt->icmp_type;
	int probes, reason = SEG_R_NONE;

	if (type == SEG_ND_REDIRECT)
		return seg_redirect_in(pkt, port);
	if (type == SEG_ND_ROUTER_ADVERTISEMENT) {
		reason = seg_check_served(pkt, port, SEG_SERVES_ROUTER);
		return reason ? reason : SEG_R_NEIGHBOUR_DISCOVERY;
	}
	probes = type == SEG_ND_SOLICITATION && seg_is_unspecified(pkt);
	if (!probes && type != SEG_ND_ADVERTISEMENT)
		return SEG_R_NEIGHBOUR_DISCOVERY;
	if (bpf_skb_load_bytes(skb, pkt->l4 + 8, pkt->saddr, sizeof(pkt->saddr)) < 0)
		return SEG_R_MALFORMED;
	reason = probes ? seg_check_probed(pkt, port) : seg_check_peer(pkt, port);
	return reason ? reason : SEG_R_NEIGHBOUR_DISCOVERY;
}

SEG_INLINE int seg_membership_out(struct __sk_buff *skb)
{
	return seg_outpaces(skb) ? SEG_R_ARP_ND_RATE : SEG_R_GROUP;
}

#endif
