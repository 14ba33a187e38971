/* SPDX-License-Identifier: GPL-2.0-only */
/* tc egress of vth-neuv: nothing leaves by it. The engine's socket goes past here (PACKET_QDISC_BYPASS), so that what
 * comes is of a device that somebody hung on it, and would reach any workload as if the engine had let it pass. */
#include "lib/seg_verdict.h"

int seg_to_vth(struct __sk_buff *skb)
{
	struct seg_pkt pkt;

	seg_parse_link(skb, &pkt);
	return seg_drop(skb, &pkt, 0, 0, SEG_R_NOT_INSPECTED);
}
