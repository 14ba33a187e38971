/* SPDX-License-Identifier: GPL-2.0-only */
/* tc ingress of vex: judges frames from the world to the workload. */
#include "lib/seg_check.h"
#include "lib/seg_arp_nd.h"
#include "lib/seg_flow.h"
#include "lib/seg_open.h"
#include "lib/seg_finish.h"

SEG_INLINE int seg_vex_reason(struct __sk_buff *skb, struct seg_pkt *pkt,
			      const struct seg_port *port)
{
	int reason;

	if ((reason = seg_check_link(pkt, port)))
		return reason;
	/* A bridge floods unknown MACs, and a promiscuous workload would read these frames. */
	if (!seg_mac_is_group(pkt->dmac) && !seg_mac_equal(pkt->dmac, port->mac))
		return SEG_R_NOT_MINE;
	if ((reason = seg_lift_tag(skb, pkt)))
		return reason;
	if ((reason = seg_check_kind(skb, pkt, port)) == SEG_R_ARP)
		return seg_arp_in(skb, pkt, port);
	if (reason)
		return reason;
	if ((reason = seg_parse_ip(skb, pkt)))
		return reason;
	if ((reason = seg_check_peer(pkt, port)))
		return reason;
	if (seg_is_dhcp_answer(pkt) && (reason = seg_check_served(pkt, port, SEG_SERVES_DHCP)))
		return reason;
	if ((reason = seg_check_group(pkt, port)) == SEG_R_NEIGHBOUR_DISCOVERY)
		return seg_nd_in(skb, pkt, port);
	if (reason)
		return reason;
	if ((reason = seg_flow_verdict(skb, pkt, port->port_id, SEG_DIR_INGRESS)))
		return reason;
	if (seg_is_redirect(pkt))
		return seg_redirect_in(pkt, port);
	if ((reason = seg_unless_recorded(skb, pkt, port, SEG_DIR_INGRESS,
					  seg_check_destination(pkt, port))))
		return reason;
	if ((reason = seg_open(skb, pkt, port->port_id, SEG_DIR_INGRESS)))
		return reason;
	return seg_check_engine(pkt, port);
}

int seg_from_vex(struct __sk_buff *skb)
{
	struct seg_port port;
	struct seg_pkt pkt;
	int reason = seg_parse_link(skb, &pkt);

	if (!seg_port_find(skb->ifindex, &port))
		return seg_drop(skb, &pkt, 0, SEG_DIR_INGRESS, SEG_R_NO_PORT);
	if (!reason)
		reason = seg_vex_reason(skb, &pkt, &port);
	return seg_finish(skb, &pkt, &port, SEG_DIR_INGRESS, (__u16)reason);
}
