/* SPDX-License-Identifier: GPL-2.0-only */
/* When a flow that the engine has decided on leaves it: not before the packets that are still on their way through it.
 *
 * API: seg_must_defer_to_engine(); seg_flow_first().
 */
#ifndef SEG_SETTLE_H
#define SEG_SETTLE_H

#include "lib/seg_parse.h"

/* Returns the number that is written in the two bytes. */
SEG_INLINE __u16 seg_flow_first(const struct seg_flow *flow)
{
	return (__u16)(flow->settle[0] | flow->settle[1] << 8);
}

/* Linux may answer data with a RST while another CPU handles the ACK that completes the handshake:
 * inet_ehash_insert() unlinks the request before it links the child, so a lookup in between finds only the
 * listener. The SYN that the engine sends on is handled on the engine's CPU, and so is everything up to that ACK; the
 * initiator's next packet comes from its own CPU. Through the engine that packet arrives after the ACK. */
SEG_INLINE int seg_defers_opening(struct seg_flow *flow, __u8 dir)
{
	__u16 cpu = (__u16)bpf_get_smp_processor_id();

	if (!flow->packets[SEG_WAY(dir)]) {
		flow->settle[0] = (__u8)cpu;
		flow->settle[1] = (__u8)(cpu >> 8);
		return 0;
	}
	flow->ways[SEG_WAY(dir)].phase = SEG_FLOW_STEADY;
	return seg_flow_first(flow) != cpu;
}

enum seg_settle_tick {
	SEG_SETTLE_ANY_TICKS = (SEG_SETTLE_NS >> SEG_FLOW_TICK) + 1,	/* of last_seen */
	SEG_SETTLE_MAX_TICKS = (SEG_SETTLE_MAX_NS >> SEG_FLOW_TICK) + 1,
	SEG_SETTLE_TICKS = SEG_SETTLE_NS >> SEG_SETTLE_TICK,
	SEG_SETTLE_TCP_TICKS = SEG_SETTLE_TCP_NS >> SEG_SETTLE_TICK,
	SEG_SETTLE_PAUSE_TICKS = 240,	/* of the 256 that seg_flow.settle tells apart */
};

/* Packets from before the verdict may still wait for the engine, and a later packet must not overtake them. So the
 * direction stays with the engine until it pauses for long enough, unless the engine is down or overloaded. While
 * the other direction sends, a pause is known modulo 8 ms: then a packet more may go to the engine. */
SEG_INLINE int seg_defers_settling(struct seg_flow *flow, const struct seg_pkt *pkt, __u8 dir)
{
	const __u32 pause = pkt->proto == IPPROTO_TCP ? SEG_SETTLE_TCP_TICKS : SEG_SETTLE_TICKS;
	const struct seg_control *control = seg_control_of(seg_pair(pkt));
	struct seg_flow_way *way = &flow->ways[SEG_WAY(dir)];
	__u64 now_ns = bpf_ktime_get_ns();
	__u32 now = (__u32)(now_ns >> SEG_FLOW_TICK);
	__s32 any_quiet = (__s32)(now - flow->last_seen);
	__u32 quiet = (__u8)((now_ns >> SEG_SETTLE_TICK) - flow->settle[SEG_WAY(dir)]);
	__u64 drained_ns = control ? control->drained_ns : 0;
	__s32 drained;

	/* The engine's clock was read later, or on another CPU. */
	if (quiet > SEG_SETTLE_PAUSE_TICKS)
		quiet = 0;
	/* The ticks from the last packet to the rings' last emptiness; within one tick, the bit tells. */
	drained = (__s32)((__u32)(drained_ns >> SEG_SETTLE_TICK) - ((__u32)(now_ns >> SEG_SETTLE_TICK) - quiet));
	if (!control || control->share_gap_ns || flow->packets[SEG_WAY(dir)] >> SEG_FLOW_SETTLED >= SEG_SETTLE_PACKETS ||
	    (__s64)(now_ns - control->heartbeat_ns) > (__s64)control->heartbeat_timeout_ns ||
	    any_quiet > SEG_SETTLE_MAX_TICKS ||
	    ((quiet > pause || any_quiet > SEG_SETTLE_ANY_TICKS) && (drained > 0 || (drained_ns & 1) != way->behind))) {
		way->phase = SEG_FLOW_STEADY;
		return 0;
	}
	way->behind = drained_ns & 1;
	__sync_fetch_and_add(&flow->packets[SEG_WAY(dir)], 1ULL << SEG_FLOW_SETTLED);
	flow->settle[SEG_WAY(dir)] = (__u8)(now_ns >> SEG_SETTLE_TICK);
	flow->last_seen = now;
	return 1;
}

SEG_INLINE int seg_must_defer_to_engine(struct seg_flow *flow, const struct seg_pkt *pkt, __u8 dir)
{
	const __u8 phase = flow->ways[SEG_WAY(dir)].phase;

	if (phase == SEG_FLOW_STEADY)
		return 0;
	return phase == SEG_FLOW_OPENING ? seg_defers_opening(flow, dir) : seg_defers_settling(flow, pkt, dir);
}

#endif
