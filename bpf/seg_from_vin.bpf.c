/* SPDX-License-Identifier: GPL-2.0-only */
/* tc ingress of vin: frames from the workload, for the world. */
#include "seg_check.h"
#include "seg_flow.h"
#include "seg_verdict.h"

SEG_INLINE int seg_vin_reason(struct __sk_buff *skb, struct seg_pkt *pkt,
			      const struct seg_port *port)
{
	int reason;

	if ((reason = seg_check_link(pkt, port)))
		return reason;
	/* Before all that passes by itself, ARP included. On the detour the source MAC is lost, so in
	 * the modes that only record such a frame goes straight across, unchanged. */
	if (!seg_mac_equal(pkt->smac, port->mac))
		return SEG_R_SPOOFED_MAC;
	if ((reason = seg_check_kind(skb, pkt, port)))
		return reason;
	if ((reason = seg_parse_ip(skb, pkt)))
		return reason;
	if ((reason = seg_check_source(pkt, port))) {
		if (!seg_only_records(port, SEG_R_SPOOFED_IP))
			return reason;
		/* Recorded here and inspected all the same: its MACs are right. */
		seg_count(skb, pkt, port->port_id, SEG_DIR_EGRESS, SEG_R_SPOOFED_IP, 1);
	}
	if ((reason = seg_check_group(pkt, port)))
		return reason;
	if ((reason = seg_flow_verdict(skb, pkt, port->port_id, SEG_DIR_EGRESS)))
		return reason;
	return seg_check_engine(port);
}

int seg_from_vin(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	const struct seg_port *port = seg_map_lookup(seg_ports, &ifindex);
	struct seg_pkt pkt;
	int reason = seg_parse_link(skb, &pkt);

	if (!port)
		return seg_drop(skb, &pkt, 0, SEG_DIR_EGRESS, SEG_R_NO_PORT);
	if (!reason)
		reason = seg_vin_reason(skb, &pkt, port);
	return seg_finish(skb, &pkt, port, SEG_DIR_EGRESS, (__u16)reason);
}
