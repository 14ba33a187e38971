/* SPDX-License-Identifier: GPL-2.0-only */
/* The checks that vex and vin share, each a step on the way from a frame to its one reason.
 *
 * API: seg_taps(), seg_check_link(), seg_check_kind(), seg_check_source(), seg_check_group(),
 * seg_check_engine().
 * Each returns the reason that settles the frame, or SEG_R_NONE: on to the next.
 */
#ifndef SEG_CHECK_H
#define SEG_CHECK_H

#include "seg_parse.h"

/* The mode only records: frames go on at once, the engine gets copies. */
SEG_INLINE int seg_taps(const struct seg_port *port)
{
	return port->mode == SEG_MODE_DISCOVER || port->mode == SEG_MODE_MONITOR;
}

/* Before anything else: a frame that aims at, or claims to come from, the detour of a port would
 * pass that port's policy by. */
SEG_INLINE int seg_check_link(const struct seg_pkt *pkt, const struct seg_port *port)
{
	if (port->mode == SEG_MODE_QUARANTINE)
		return SEG_R_QUARANTINE;
	if (seg_mac_is_reserved(pkt->dmac) || seg_mac_is_reserved(pkt->smac))
		return SEG_R_FORGED_UCMAC;
	return SEG_R_NONE;
}

/* Settles all that is not IP. The outer VLAN tag is out of the frame before tc sees it; an inner one
 * is still in its place. */
SEG_INLINE int seg_check_kind(struct __sk_buff *skb, const struct seg_pkt *pkt,
			      const struct seg_port *port)
{
	int pass = port->flags & SEG_PORT_PASS_OTHER;

	if (skb->vlan_present || pkt->ethertype == ETH_P_8021Q || pkt->ethertype == ETH_P_8021AD)
		return pass ? SEG_R_OTHER_PASS : SEG_R_VLAN_TAGGED;
	if (pkt->ethertype == ETH_P_ARP)
		return SEG_R_ARP;
	if (pkt->ethertype == ETH_P_IP || pkt->ethertype == ETH_P_IPV6)
		return SEG_R_NONE;
	return pass ? SEG_R_OTHER_PASS : SEG_R_OTHER_ETHERTYPE;
}

/* Is it in the map, and as what? */
SEG_INLINE int seg_addr_is(const struct seg_pkt *pkt, const struct seg_port *port, const __u8 *addr,
			   __u8 kind)
{
	struct seg_addr_key key = { .port_id = port->port_id, .family = pkt->family };
	const __u8 *found;

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	found = seg_map_lookup(seg_addrs, &key);
	return found && *found == kind;
}

SEG_INLINE int seg_check_source(const struct seg_pkt *pkt, const struct seg_port *port)
{
	const __u8 *a = pkt->saddr;
	__u32 rest;

	if (port->flags & SEG_PORT_ANY_SOURCE || seg_addr_is(pkt, port, a, SEG_ADDR_OWN))
		return SEG_R_NONE;
	if (pkt->family == SEG_FAMILY_IPV4) {
		if ((a[0] | a[1] | a[2] | a[3]) == 0 && seg_is_dhcp_request(pkt))
			return SEG_R_NONE;
		return SEG_R_SPOOFED_IP;
	}
	rest = 0;
#pragma unroll
	for (int i = 0; i < 16; i++)
		rest |= a[i];
	return rest ? SEG_R_SPOOFED_IP : SEG_R_NONE;
}

/* What crosses without being inspected: neighbour discovery and true group traffic. */
SEG_INLINE int seg_check_group(const struct seg_pkt *pkt, const struct seg_port *port)
{
	int group = seg_mac_is_group(pkt->dmac);

	/* A subnet's broadcast address looks like a unicast one to all but its subnet. */
	if (group && !seg_to_l3_group(pkt) &&
	    !seg_addr_is(pkt, port, pkt->daddr, SEG_ADDR_BROADCAST))
		return SEG_R_L2_GROUP_L3_UNICAST;
	if (seg_is_neighbour_discovery(pkt))
		return SEG_R_NEIGHBOUR_DISCOVERY;
	return group ? SEG_R_GROUP : SEG_R_NONE;
}

/* For the engine, which likes to run where those are that wait for it (sg_place.h). Written when it changes
 * only, since every CPU reads this line, and not atomically: what one packet gets wrong, the next window mends. */
SEG_INLINE void seg_note_cpu(struct seg_control *control)
{
	__u32 here = bpf_get_smp_processor_id() + 1, from = control->steered_from;

	if (from != here && from != SEG_FROM_MANY)
		control->steered_from = from == SEG_FROM_NONE ? here : SEG_FROM_MANY;
}

SEG_INLINE int seg_check_engine(const struct seg_port *port)
{
	__u32 zero = 0;
	struct seg_control *control = seg_map_lookup(seg_control, &zero);

	/* Signed: this clock may be a tick behind the engine's. */
	if (control && (__s64)(bpf_ktime_get_coarse_ns() - control->heartbeat_ns) <=
			       (__s64)control->heartbeat_timeout_ns) {
		/* Nobody waits for what is done with a copy. */
		if (!seg_taps(port))
			seg_note_cpu(control);
		return SEG_R_TO_ENGINE;
	}
	return port->flags & SEG_PORT_FAIL_OPEN || seg_taps(port) ? SEG_R_FAIL_OPEN :
								    SEG_R_ENGINE_DOWN;
}

#endif
