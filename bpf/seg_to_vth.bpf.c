/* SPDX-License-Identifier: GPL-2.0-only */
/* tc egress of vth-neuv: drops everything. The engine's socket bypasses it (PACKET_QDISC_BYPASS), so a frame here comes
 * from a foreign device on vth-neuv, and would reach a workload as if the engine had let it pass. */
#include "lib/seg_finish.h"

int seg_to_vth(struct __sk_buff *skb)
{
	struct seg_pkt pkt;

	seg_parse_link(skb, &pkt);
	return seg_drop(skb, &pkt, 0, 0, SEG_R_NOT_INSPECTED);
}
