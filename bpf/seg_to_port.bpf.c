/* SPDX-License-Identifier: GPL-2.0-only */
/* tc egress of vex and vin: lets only frames out that our programs sent. A device on top of one (of the workload, moved
 * to another namespace, or made in the enforcer's by the nsid of a link's peer) could send past them. */
#include "lib/seg_finish.h"

int seg_to_port(struct __sk_buff *skb)
{
	struct seg_port port;
	struct seg_pkt pkt;
	__u8 dir;

	if (skb->mark == SEG_MARK) {
		/* The parent of a macvlan must not see the mark. */
		skb->mark = 0;
		return TC_ACT_UNSPEC;
	}
	if (!seg_port_find(skb->ifindex, &port))
		port = (struct seg_port){};
	dir = port.role == SEG_ROLE_VIN ? SEG_DIR_INGRESS : SEG_DIR_EGRESS;
	seg_parse_link(skb, &pkt);
	return seg_drop(skb, &pkt, port.port_id, dir, SEG_R_NOT_INSPECTED);
}
