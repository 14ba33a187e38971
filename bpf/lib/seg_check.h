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

/* This check comes first: a frame to or from a detour MAC of a port would bypass that port's policy. */
SEG_INLINE int seg_check_link(const struct seg_pkt *pkt, const struct seg_port *port)
{
	if (port->mode == SEG_MODE_QUARANTINE)
		return SEG_R_QUARANTINE;
	if (seg_mac_is_reserved(pkt->dmac) || seg_mac_is_reserved(pkt->smac))
		return SEG_R_FORGED_UCMAC;
	return SEG_R_NONE;
}

/* Linux ignores a tag of VLAN 0, so the next tag or header decides. */
SEG_INLINE int seg_lift_tag(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	if (!seg_is_vlan(pkt) || !seg_has_priority_tag(skb))
		return SEG_R_NONE;
	return bpf_skb_vlan_pop(skb) < 0 ? SEG_R_MALFORMED : seg_parse_link(skb, pkt);
}

/* Decides on every frame that is not IP; ARP has its own checks. The kernel takes the outer VLAN tag out of the frame
 * before tc sees it; an inner tag is still there. */
SEG_INLINE int seg_check_kind(struct __sk_buff *skb, const struct seg_pkt *pkt,
			      const struct seg_port *port)
{
	int pass = port->flags & SEG_PORT_PASS_OTHER;

	/* The receiver removes every tag of VLAN 0, and may find IP after them. */
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

/* Neighbour discovery and multicast membership pass without a rule. ND after extension headers is malformed, but Linux
 * would accept it. */
SEG_INLINE int seg_check_group(const struct seg_pkt *pkt, const struct seg_port *port)
{
	int group = seg_mac_is_group(pkt->dmac);

	/* Only hosts of its subnet can tell a broadcast address from a unicast address. */
	if (group && !seg_to_l3_group(pkt) &&
	    !seg_addr_is(pkt->family, port->owner, pkt->daddr, SEG_ADDR_BROADCAST))
		return SEG_R_L2_GROUP_L3_UNICAST;
	if (seg_is_neighbour_discovery(pkt))
		return pkt->options ? SEG_R_MALFORMED : SEG_R_NEIGHBOUR_DISCOVERY;
	return seg_is_membership(pkt) ? SEG_R_GROUP : SEG_R_NONE;
}

/* Tells the engine on which CPU its senders run (sg_cpu_affinity.h). It writes changes only, because every CPU reads
 * this cache line, and not atomically, because the next window corrects a lost write. */
SEG_INLINE void seg_note_producer(struct seg_control *control)
{
	__u32 here = bpf_get_smp_processor_id() + 1, from = control->producer_cpu;

	if (from != here && from != SEG_PRODUCER_MANY)
		control->producer_cpu = from == SEG_PRODUCER_NONE ? here : SEG_PRODUCER_MANY;
}

/* The difference is signed, because this clock may be a tick behind the engine's. */
SEG_INLINE int seg_engine_is_alive(const struct seg_control *control)
{
	return (__s64)(bpf_ktime_get_coarse_ns() - control->heartbeat_ns) <= (__s64)control->heartbeat_timeout_ns;
}

SEG_INLINE int seg_check_engine(const struct seg_pkt *pkt, const struct seg_port *port)
{
	struct seg_control *control = seg_control_of(seg_pair(pkt));

	if (control && seg_engine_is_alive(control)) {
		if (control->share_gap_ns && seg_share_is_over(control, pkt, port))
			return SEG_R_PORT_SHARE;
		/* No sender waits for the verdict on a copy. */
		if (!seg_is_tap_mode(port))
			seg_note_producer(control);
		return SEG_R_TO_ENGINE;
	}
	return port->flags & SEG_PORT_FAIL_OPEN || seg_is_tap_mode(port) ? SEG_R_FAIL_OPEN :
								    SEG_R_ENGINE_DOWN;
}

#endif
