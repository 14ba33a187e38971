/* SPDX-License-Identifier: GPL-2.0-only */
/* The checks that vex and vin share, each a step on the way from a frame to its one reason.
 *
 * API: seg_check_link(), seg_lift_tag(), seg_check_kind(), seg_check_group(), seg_check_engine().
 * Each returns the reason that settles the frame, or SEG_R_NONE: on to the next.
 */
#ifndef SEG_CHECK_H
#define SEG_CHECK_H

#include "lib/seg_group.h"
#include "lib/seg_identity.h"
#include "lib/seg_share.h"

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

/* Below a tag of VLAN 0 another one counts, as it does for Linux. */
SEG_INLINE int seg_lift_tag(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	if (!seg_is_vlan(pkt) || !seg_has_priority_tag(skb))
		return SEG_R_NONE;
	return bpf_skb_vlan_pop(skb) < 0 ? SEG_R_MALFORMED : seg_parse_link(skb, pkt);
}

/* Settles all that is not IP, but for ARP's own checks. The outer VLAN tag is out of the frame before tc
 * sees it; an inner one is still in its place. */
SEG_INLINE int seg_check_kind(struct __sk_buff *skb, const struct seg_pkt *pkt,
			      const struct seg_port *port)
{
	int pass = port->flags & SEG_PORT_PASS_OTHER;

	/* Its receiver takes all tags of VLAN 0 off, and may find IP below them. */
	if (seg_is_vlan(pkt) && seg_has_priority_tag(skb))
		return SEG_R_VLAN_TAGGED;
	if (seg_is_vlan(pkt) || (skb->vlan_present && !seg_has_priority_tag(skb)))
		return pass ? SEG_R_OTHER_PASS : SEG_R_VLAN_TAGGED;
	if (pkt->ethertype == ETH_P_ARP)
		return SEG_R_ARP;
	if (pkt->ethertype == ETH_P_IP || pkt->ethertype == ETH_P_IPV6)
		return SEG_R_NONE;
	if (pass)
		return SEG_R_OTHER_PASS;
	return seg_is_link_control(pkt) ? SEG_R_LINK_CONTROL : SEG_R_OTHER_ETHERTYPE;
}

/* What crosses without being judged by rules: neighbour discovery, and who is in which multicast group. Nothing
 * of ND stands behind extension headers, and Linux would take it there. */
SEG_INLINE int seg_check_group(const struct seg_pkt *pkt, const struct seg_port *port)
{
	int group = seg_mac_is_group(pkt->dmac);

	/* A subnet's broadcast address looks like a unicast one to all but its subnet. */
	if (group && !seg_to_l3_group(pkt) &&
	    !seg_addr_is(pkt->family, port->owner, pkt->daddr, SEG_ADDR_BROADCAST))
		return SEG_R_L2_GROUP_L3_UNICAST;
	if (seg_is_neighbour_discovery(pkt))
		return pkt->options ? SEG_R_MALFORMED : SEG_R_NEIGHBOUR_DISCOVERY;
	return seg_is_membership(pkt) ? SEG_R_GROUP : SEG_R_NONE;
}

/* For the engine, which likes to run where those are that wait for it (sg_cpu_affinity.h). Written when it changes
 * only, since every CPU reads this line, and not atomically: what one packet gets wrong, the next window mends. */
SEG_INLINE void seg_note_producer(struct seg_control *control)
{
	__u32 here = bpf_get_smp_processor_id() + 1, from = control->producer_cpu;

	if (from != here && from != SEG_PRODUCER_MANY)
		control->producer_cpu = from == SEG_PRODUCER_NONE ? here : SEG_PRODUCER_MANY;
}

SEG_INLINE int seg_check_engine(const struct seg_pkt *pkt, const struct seg_port *port)
{
	__u32 zero = 0;
	struct seg_control *control = seg_map_lookup(seg_control, &zero);

	/* Signed: this clock may be a tick behind the engine's. */
	if (control && (__s64)(bpf_ktime_get_coarse_ns() - control->heartbeat_ns) <=
			       (__s64)control->heartbeat_timeout_ns) {
		if (control->share_gap_ns && seg_share_is_over(control, pkt, port))
			return SEG_R_PORT_SHARE;
		/* Nobody waits for what is done with a copy. */
		if (!seg_is_tap_mode(port))
			seg_note_producer(control);
		return SEG_R_TO_ENGINE;
	}
	return port->flags & SEG_PORT_FAIL_OPEN || seg_is_tap_mode(port) ? SEG_R_FAIL_OPEN :
								    SEG_R_ENGINE_DOWN;
}

#endif
