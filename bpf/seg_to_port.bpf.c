/* SPDX-License-Identifier: GPL-2.0-only */
/* tc egress of vex and vin: only what our programs sent on leaves. A device on top of one (the workload's own, moved
 * to another namespace; one made in ours by the nsid that a link tells of its peer) goes on to send through it. */
#include "lib/seg_verdict.h"

int seg_to_port(struct __sk_buff *skb)
{
	struct seg_port port;
	struct seg_pkt pkt;
	__u8 dir;

	if (skb->mark == SEG_MARK) {
		/* A macvlan's parent would see it. */
		skb->mark = 0;
		return TC_ACT_UNSPEC;
	}
	if (!seg_port_find(skb->ifindex, &port))
		port = (struct seg_port){};
	dir = port.role == SEG_ROLE_VIN ? SEG_DIR_INGRESS : SEG_DIR_EGRESS;
	seg_parse_link(skb, &pkt);
	return seg_drop(skb, &pkt, port.port_id, dir, SEG_R_NOT_INSPECTED);
}
