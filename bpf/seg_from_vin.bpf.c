/* SPDX-License-Identifier: GPL-2.0-only */
/* tc ingress of vin: judges frames from the workload to the world. */
#include "lib/seg_check.h"
#include "lib/seg_csum.h"
#include "lib/seg_arp_nd.h"
#include "lib/seg_flow.h"
#include "lib/seg_open.h"
#include "lib/seg_finish.h"

/* A stolen source is worse than a spoofed MAC, which is worse than any other reason. */
SEG_INLINE int seg_with_mac(int spoofed, int reason)
{
	return spoofed && !seg_is_theft((__u16)reason) ? spoofed : reason;
}

SEG_INLINE int seg_vin_reason(struct __sk_buff *skb, struct seg_pkt *pkt,
			      const struct seg_port *port)
{
	int reason, spoofed;

	if ((reason = seg_check_link(pkt, port)))
		return reason;
	/* The detour would lose a spoofed source MAC, so the recording modes let such a frame pass unchanged, unless it
	 * has another workload's address or MAC. */
	spoofed = seg_check_mac(pkt, port);
	if (spoofed && !seg_only_records(port, (__u16)spoofed))
		return spoofed;
	if ((reason = seg_lift_tag(skb, pkt)))
		return spoofed ? spoofed : reason;
	reason = seg_check_kind(skb, pkt, port);
	if (reason == SEG_R_ARP)
		return seg_check_csum(skb, pkt) ? SEG_R_CSUM_PLACE :
						  seg_with_mac(spoofed, seg_arp_out(skb, pkt, port));
	if (!reason)
		reason = seg_parse_ip(skb, pkt);
	if (!reason)
		reason = seg_check_csum(skb, pkt);
	if (reason == SEG_R_CSUM_PLACE)
		return reason;
	if (reason)
		return spoofed ? spoofed : reason;
	reason = seg_check_source(pkt, port);
	if (seg_is_theft((__u16)reason) || (spoofed && !seg_is_neighbour_discovery(pkt)))
		return seg_with_mac(spoofed, reason);
	if (!spoofed && (reason = seg_unless_recorded(skb, pkt, port, SEG_DIR_EGRESS, reason)))
		return reason;
	if ((reason = seg_check_group(pkt, port)) == SEG_R_NEIGHBOUR_DISCOVERY)
		return seg_with_mac(spoofed, seg_nd_out(skb, pkt, port));
	if (spoofed)
		return spoofed;
	if (reason == SEG_R_GROUP)
		return seg_membership_out(skb);
	if (reason)
		return reason;
	if ((reason = seg_flow_verdict(skb, pkt, port->port_id, SEG_DIR_EGRESS)))
		return reason;
	if (seg_is_redirect(pkt))
		return seg_redirect_out(skb, port);
	if ((reason = seg_unless_recorded(skb, pkt, port, SEG_DIR_EGRESS,
					  seg_check_receiver(pkt, port))))
		return reason;
	if ((reason = seg_open(skb, pkt, port->port_id, SEG_DIR_EGRESS)))
		return reason;
	return seg_check_engine(pkt, port);
}

int seg_from_vin(struct __sk_buff *skb)
{
	struct seg_port port;
	struct seg_pkt pkt;
	int reason = seg_parse_link(skb, &pkt);

	if (!seg_port_find(skb->ifindex, &port))
		return seg_drop(skb, &pkt, 0, SEG_DIR_EGRESS, SEG_R_NO_PORT);
	if (!reason)
		reason = seg_vin_reason(skb, &pkt, &port);
	return seg_finish(skb, &pkt, &port, SEG_DIR_EGRESS, (__u16)reason);
}
