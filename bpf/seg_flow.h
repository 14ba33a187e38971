/* SPDX-License-Identifier: GPL-2.0-only */
/* Verdicts that the engine left in the flow maps.
 *
 * API: seg_flow_verdict(). Returns SEG_R_FLOW_ALLOW, SEG_R_FLOW_DENY, or SEG_R_NONE: ask the engine.
 * The engine alone makes and deletes entries; here they are only counted and kept alive.
 */
#ifndef SEG_FLOW_H
#define SEG_FLOW_H

#include "seg_parse.h"

SEG_INLINE struct seg_flow *seg_flow_find(const struct seg_pkt *pkt, __u16 port_id, __u8 dir)
{
	if (pkt->family == SEG_FAMILY_IPV4) {
		struct seg_flow_key4 key = {
			.port_id = port_id, .dir = dir, .proto = pkt->proto,
			.sport = pkt->sport, .dport = pkt->dport,
		};

		__builtin_memcpy(&key.saddr, pkt->saddr, sizeof(key.saddr));
		__builtin_memcpy(&key.daddr, pkt->daddr, sizeof(key.daddr));
		return seg_map_lookup(seg_flows4, &key);
	} else {
		struct seg_flow_key6 key = {
			.port_id = port_id, .dir = dir, .proto = pkt->proto,
			.sport = pkt->sport, .dport = pkt->dport,
		};

		__builtin_memcpy(key.saddr, pkt->saddr, sizeof(key.saddr));
		__builtin_memcpy(key.daddr, pkt->daddr, sizeof(key.daddr));
		return seg_map_lookup(seg_flows6, &key);
	}
}

SEG_INLINE int seg_flow_verdict(struct __sk_buff *skb, const struct seg_pkt *pkt, __u16 port_id,
				__u8 dir)
{
	__u32 index = port_id;
	__u64 *generation, now;
	struct seg_flow *flow;

	if (!pkt->decidable)
		return SEG_R_NONE;
	generation = seg_map_lookup(seg_gens, &index);
	if (!generation || !*generation)
		return SEG_R_NONE;
	flow = seg_flow_find(pkt, port_id, dir);
	if (!flow || flow->generation != *generation)
		return SEG_R_NONE;
	now = bpf_ktime_get_coarse_ns();
	/* Coarse (a tick behind at most, and 10 ns cheaper); signed, since the engine and other
	 * CPUs may have written a later time. */
	if ((__s64)(now - flow->last_seen_ns) > (__s64)flow->timeout_ns)
		return SEG_R_NONE;
	if (flow->verdict != SEG_VERDICT_ALLOW && flow->verdict != SEG_VERDICT_DENY)
		return SEG_R_NONE;
	flow->last_seen_ns = now;
	/* Both directions of a busy flow and both CPUs of a moved one meet here. */
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, skb->len);
	return flow->verdict == SEG_VERDICT_ALLOW ? SEG_R_FLOW_ALLOW : SEG_R_FLOW_DENY;
}

#endif
