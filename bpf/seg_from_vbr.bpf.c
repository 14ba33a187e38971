/* SPDX-License-Identifier: GPL-2.0-only */
/* tc ingress of vbr-neuv: sends frames that the engine lets pass to their port. */
#include "lib/seg_group.h"
#include "lib/seg_finish.h"

/* No pair of this datapath has the detour MAC. Another datapath's filters come after this program; if they do not take
 * the frame, it ends in the enforcer's mute stack. */
SEG_INLINE int seg_not_ours(struct __sk_buff *skb, const struct seg_pkt *pkt,
			    const struct seg_reinject_port *port)
{
	if (!port || !(port->vex_flags & SEG_PORT_ELSEWHERE))
		seg_count(skb, pkt, 0, 0, SEG_R_DETOUR_UNKNOWN, 0);
	return TC_ACT_UNSPEC;
}

int seg_from_vbr(struct __sk_buff *skb)
{
	const struct seg_reinject_port *port;
	struct seg_pkt pkt;
	__u32 index;
	int reason = seg_parse_link(skb, &pkt);
	int group = seg_mac_is_bcmac(pkt.dmac), inbound = group || seg_mac_is_ucmac(pkt.dmac);
	const __u8 *ucmac = inbound ? pkt.dmac : pkt.smac;
	__u16 port_id = seg_mac_port_id(ucmac);
	__u8 mac[6];

	if (reason)
		return seg_drop(skb, &pkt, 0, 0, (__u16)reason);
	if (inbound == seg_mac_is_ucmac(pkt.smac))
		return seg_drop(skb, &pkt, 0, 0, SEG_R_DETOUR_MACS);
	index = port_id;
	port = seg_map_lookup(seg_reinject, &index);
	if (!port || !port->vex_ifindex)
		return seg_not_ours(skb, &pkt, port);
	/* The frame was in the engine when the quarantine began. */
	if ((port->vex_flags | port->vin_flags) & SEG_PORT_QUARANTINE)
		return seg_drop(skb, &pkt, port_id, 0, SEG_R_QUARANTINE);
	__builtin_memcpy(mac, port->mac, sizeof(mac));
	if (group && seg_group_mac(skb, &pkt, mac) < 0)
		return seg_drop(skb, &pkt, port_id, 0, SEG_R_SEND_FAILED);
	if (bpf_skb_store_bytes(skb, inbound ? 0 : ETH_ALEN, mac, sizeof(mac), 0) < 0)
		return seg_drop(skb, &pkt, port_id, 0, SEG_R_SEND_FAILED);
	seg_count(skb, &pkt, port_id, 0, SEG_R_FROM_ENGINE, 0);
	if (inbound)
		return seg_send(skb, mac, port->mac, port->vin_flags, port->vin_ifindex);
	return seg_send(skb, pkt.dmac, port->host_mac, port->vex_flags, port->vex_ifindex);
}
