/* SPDX-License-Identifier: GPL-2.0-only */
/* Verdicts that the engine left in the flow maps.
 *
 * API: seg_flow_verdict(). Returns SEG_R_FLOW_ALLOW, SEG_R_FLOW_DENY, or SEG_R_NONE: ask the engine.
 * The engine makes and deletes entries, and seg_open.h makes those of connections; here they are only counted and kept alive.
 * A flow's own entry is looked for first; then that of its service, which is a denial, if there is one.
 */
#ifndef SEG_FLOW_H
#define SEG_FLOW_H

#include "lib/seg_parse.h"
#include "segctl_seal.h"

/* A snapshot of what the verdict needs of an element. */
struct seg_flow_read {
	__u64 session;
	__u8 verdict;		/* enum seg_verdict; 0: the element is not of that key and generation */
};

SEG_INLINE struct seg_flow_read seg_flow_read(const struct seg_flow *flow, const void *key, const __u32 bytes,
					      __u64 generation)
{
	const volatile struct seg_flow *shared = flow;
	struct seg_flow_read read = { .session = shared->session, .verdict = shared->verdict };
	__u32 zero = 0;
	const struct seg_control *control = seg_map_lookup(seg_control, &zero);

	if (!control || (read.verdict != SEG_VERDICT_ALLOW && read.verdict != SEG_VERDICT_DENY) ||
	    shared->seal != seg_seal(control->flow_secret, key, bytes / 8, read.session, generation, read.verdict))
		read.verdict = 0;
	return read;
}

/* The ports of an entry's key. */
struct seg_flow_ports {
	__u16 sport;
	__u16 dport;
};

/* Returns the entry with these ports, and in *read its snapshot; NULL: there is none. */
SEG_INLINE struct seg_flow *seg_flow_find(const struct seg_pkt *pkt, struct seg_flow_ports ports, __u16 port_id,
					  __u8 dir, __u64 generation, struct seg_flow_read *read)
{
	struct seg_flow *flow;

	if (pkt->family == SEG_FAMILY_IPV4) {
		struct seg_flow_key4 key __attribute__((aligned(8))) = {
			.port_id = port_id, .dir = dir, .proto = pkt->proto,
			.sport = ports.sport, .dport = ports.dport,
		};

		__builtin_memcpy(&key.saddr, pkt->saddr, sizeof(key.saddr));
		__builtin_memcpy(&key.daddr, pkt->daddr, sizeof(key.daddr));
		flow = seg_map_lookup(seg_flows4, &key);
		if (flow)
			*read = seg_flow_read(flow, &key, sizeof(key), generation);
	} else {
		struct seg_flow_key6 key __attribute__((aligned(8))) = {
			.port_id = port_id, .dir = dir, .proto = pkt->proto,
			.sport = ports.sport, .dport = ports.dport,
		};

		__builtin_memcpy(key.saddr, pkt->saddr, sizeof(key.saddr));
		__builtin_memcpy(key.daddr, pkt->daddr, sizeof(key.daddr));
		flow = seg_map_lookup(seg_flows6, &key);
		if (flow)
			*read = seg_flow_read(flow, &key, sizeof(key), generation);
	}
	return flow;
}

/* Of a denied service there is one entry for every source port, or ICMP identifier: they are 0 in its key. */
SEG_INLINE struct seg_flow_ports seg_flow_service(const struct seg_pkt *pkt)
{
	if (pkt->icmp_type)
		return (struct seg_flow_ports){ .sport = pkt->sport };
	return (struct seg_flow_ports){ .dport = pkt->dport };
}

/* Whether the packet may be the first of a flow, which the service's denial holds for. */
SEG_INLINE int seg_flow_begins(const struct seg_pkt *pkt)
{
	return pkt->opens || (pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_SCTP);
}

/* Linux may answer data with a RST while another CPU handles the ACK that completes the handshake:
 * inet_ehash_insert() unlinks the request before it links the child, so a lookup in between finds only the
 * listener. The SYN that the engine sends on is handled on the engine's CPU, and so is everything up to that ACK; the
 * initiator's next packet comes from its own CPU. Through the engine that packet arrives after the ACK. */
SEG_INLINE int seg_defers_opening(struct seg_flow *flow)
{
	__u16 cpu = (__u16)bpf_get_smp_processor_id();

	if (!flow->packets) {
		flow->progress = cpu;
		return 0;
	}
	flow->phase = SEG_FLOW_STEADY;
	return flow->progress != cpu;
}

/* Packets from before the verdict may still wait for the engine, and a later packet must not overtake them. So the flow
 * stays with the engine until it pauses for long enough, unless the engine is down or overloaded. */
SEG_INLINE int seg_defers_settling(struct seg_flow *flow, const struct seg_pkt *pkt)
{
	const __s64 pause = pkt->proto == IPPROTO_TCP ? SEG_SETTLE_TCP_NS : SEG_SETTLE_NS;
	const struct seg_control *control = seg_control_of(seg_pair(pkt));
	__u64 now = bpf_ktime_get_ns();
	/* Signed: the engine's clock was read later, or on another CPU. */
	__s64 quiet = (__s64)(now - flow->last_seen_ns);

	if (!control || control->share_gap_ns || flow->progress >= SEG_SETTLE_PACKETS ||
	    (__s64)(now - control->heartbeat_ns) > (__s64)control->heartbeat_timeout_ns ||
	    quiet > SEG_SETTLE_MAX_NS ||
	    (quiet > pause && (__s64)(control->drained_ns - flow->last_seen_ns) > 0)) {
		flow->phase = SEG_FLOW_STEADY;
		return 0;
	}
	flow->progress++;
	flow->last_seen_ns = now;
	return 1;
}

SEG_INLINE int seg_must_defer_to_engine(struct seg_flow *flow, const struct seg_pkt *pkt)
{
	if (flow->phase == SEG_FLOW_STEADY)
		return 0;
	return flow->phase == SEG_FLOW_OPENING ? seg_defers_opening(flow) : seg_defers_settling(flow, pkt);
}

/* Returns the key of the packet's flow, in the form that both families share. */
SEG_INLINE struct seg_flow_key6 seg_flow_key(const struct seg_pkt *pkt, __u16 port_id, __u8 dir)
{
	struct seg_flow_key6 key = {
		.port_id = port_id, .dir = dir, .proto = pkt->proto, .sport = pkt->sport, .dport = pkt->dport,
	};

	__builtin_memcpy(key.saddr, pkt->saddr, sizeof(key.saddr));
	__builtin_memcpy(key.daddr, pkt->daddr, sizeof(key.daddr));
	return key;
}

/* Emits a close event without waking the engine, because no packet waits for it. */
SEG_INLINE void seg_flow_close(struct seg_flow *flow, const struct seg_pkt *pkt, __u64 session, __u16 port_id,
			       __u8 dir)
{
	struct seg_close_event *end;
	__u32 worker;
	void *ring;

	if (flow->closed & pkt->closes)
		return;
	flow->closed |= pkt->closes;
	worker = seg_worker_of(seg_pair(pkt));
	ring = seg_map_lookup(seg_closes, &worker);
	end = ring ? bpf_ringbuf_reserve(ring, sizeof(*end), 0) : NULL;
	if (!end)
		return;
	*end = (struct seg_close_event){
		.session = session, .key = seg_flow_key(pkt, port_id, dir),
		.family = pkt->family, .close = pkt->closes,
	};
	bpf_ringbuf_submit(end, BPF_RB_NO_WAKEUP);
}

SEG_INLINE int seg_flow_verdict(struct __sk_buff *skb, struct seg_pkt *pkt, __u16 port_id,
				__u8 dir)
{
	__u32 index = port_id;
	const __u64 *current;
	__u64 generation, now;
	struct seg_flow_ports ports = { pkt->sport, pkt->dport };
	struct seg_flow_read read = { 0 };
	struct seg_flow *flow = NULL;
	int service = 0;

	if (!(pkt->decidable || pkt->opens) || pkt->deferred)
		return SEG_R_NONE;
	current = seg_map_lookup(seg_gens, &index);
	generation = current ? *current : 0;
	if (!generation)
		return SEG_R_NONE;
	/* An entry of the packet's own decides, also one that no longer holds: only the engine knows what became of its flow. */
	for (int i = 0; i < 2 && !flow; i++) {
		service = i || !pkt->decidable;
		if (service && !seg_flow_begins(pkt))
			return SEG_R_NONE;
		if (service)
			ports = seg_flow_service(pkt);
		flow = seg_flow_find(pkt, ports, port_id, dir, generation, &read);
	}
	pkt->known = flow && !service;
	if (!flow || !read.verdict || (service && read.verdict != SEG_VERDICT_DENY))
		return SEG_R_NONE;
	now = bpf_ktime_get_coarse_ns();
	/* The coarse clock lags by a tick at most and is 10 ns cheaper. Signed, because the engine or another CPU
	 * may have written a later time. */
	if ((__s64)(now - flow->last_seen_ns) > flow->timeout_s * 1000000000LL)
		return SEG_R_NONE;
	/* The engine answers the connection that it blocked. */
	if (pkt->closes && read.verdict == SEG_VERDICT_DENY)
		return SEG_R_NONE;
	if (seg_must_defer_to_engine(flow, pkt))
		return SEG_R_NONE;
	flow->last_seen_ns = now;
	/* Two CPUs may count for one entry. */
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, skb->len);
	/* Written once, because CPUs share the cache line. */
	if (!flow->payload && (service ? (pkt->icmp_type ? pkt->dport : pkt->sport) != flow->progress : pkt->payload))
		flow->payload = 1;
	if (pkt->closes)
		seg_flow_close(flow, pkt, read.session, port_id, dir);
	return read.verdict == SEG_VERDICT_ALLOW ? SEG_R_FLOW_ALLOW : SEG_R_FLOW_DENY;
}

#endif
