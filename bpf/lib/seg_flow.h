/* SPDX-License-Identifier: GPL-2.0-only */
/* Verdicts that the engine left in the flow maps.
 *
 * API: seg_flow_verdict(). Returns SEG_R_FLOW_ALLOW, SEG_R_FLOW_DENY, or SEG_R_NONE: ask the engine.
 * The engine makes and deletes entries, and seg_open.h makes those of connections; here they are only counted and kept alive.
 * A flow's own entry is looked for first; then that of its service, which is a denial, if there is one.
 */
#ifndef SEG_FLOW_H
#define SEG_FLOW_H

#include "lib/seg_settle.h"
#include "segctl_seal.h"

/* A packet's flow, as in the keys. */
struct seg_flow_ends {
	const __u8 *local;
	const __u8 *remote;
	__u16 local_port;
	__u16 remote_port;
};

/* With `service`, those of the service's denial: of every initiator's port, or identifier. */
SEG_INLINE struct seg_flow_ends seg_flow_ends(const struct seg_pkt *pkt, __u8 dir, int service)
{
	const int out = dir == SEG_DIR_EGRESS;
	const int v4 = pkt->family == SEG_FAMILY_IPV4;
	struct seg_flow_ends ends = {
		.local = out ? pkt->saddr : pkt->daddr, .remote = out ? pkt->daddr : pkt->saddr,
		.local_port = out ? pkt->sport : pkt->dport, .remote_port = out ? pkt->dport : pkt->sport,
	};
	__u8 request = v4 ? SEG_ICMP_ECHO : SEG_ICMP6_ECHO;

	if (pkt->proto == (v4 ? IPPROTO_ICMP : SEG_IP6_ICMP)) {
		if (pkt->icmp_type != request)
			dir = SEG_DIR_EGRESS + SEG_DIR_INGRESS - dir;
		ends.local_port = service ? 0 : pkt->dport;
		ends.remote_port = htons((__u16)(dir << 8 | request));
	} else if (service) {
		*(out ? &ends.local_port : &ends.remote_port) = 0;
	}
	return ends;
}

/* Writes the key of the packet's flow, in the form that both families share. */
SEG_INLINE void seg_flow_key(const struct seg_pkt *pkt, __u16 port_id, __u8 dir, int service,
			     struct seg_flow_key6 *key)
{
	const struct seg_flow_ends ends = seg_flow_ends(pkt, dir, service);

	key->port_id = port_id;
	key->proto = pkt->proto;
	key->pad = 0;
	__builtin_memcpy(key->local, ends.local, sizeof(key->local));
	__builtin_memcpy(key->remote, ends.remote, sizeof(key->remote));
	key->local_port = ends.local_port;
	key->remote_port = ends.remote_port;
}

SEG_INLINE void seg_flow_key4(const struct seg_pkt *pkt, __u16 port_id, __u8 dir, int service,
			      struct seg_flow_key4 *key)
{
	const struct seg_flow_ends ends = seg_flow_ends(pkt, dir, service);

	key->port_id = port_id;
	key->proto = pkt->proto;
	key->pad = 0;
	__builtin_memcpy(&key->local, ends.local, sizeof(key->local));
	__builtin_memcpy(&key->remote, ends.remote, sizeof(key->remote));
	key->local_port = ends.local_port;
	key->remote_port = ends.remote_port;
}

/* A snapshot of what the verdict needs of an element. */
struct seg_flow_read {
	__u64 session;
	__u8 verdict;		/* enum seg_verdict, of the direction; 0: none, or the element is not of that key and generation */
};

SEG_INLINE struct seg_flow_read seg_flow_read(const struct seg_flow *flow, const void *key, const __u32 bytes,
					      __u8 dir, __u64 generation)
{
	const volatile struct seg_flow *shared = flow;
	struct seg_flow_read read = { .session = shared->session };
	__u8 egress = shared->ways[SEG_WAY(SEG_DIR_EGRESS)].verdict;
	__u8 ingress = shared->ways[SEG_WAY(SEG_DIR_INGRESS)].verdict;
	__u32 zero = 0;
	const struct seg_control *control = seg_map_lookup(seg_control, &zero);

	read.verdict = dir == SEG_DIR_EGRESS ? egress : ingress;
	if (!control || (read.verdict != SEG_VERDICT_ALLOW && read.verdict != SEG_VERDICT_DENY) ||
	    shared->seal != seg_seal(control->flow_secret, key, bytes / 8, read.session, generation,
				     seg_flow_verdicts(egress, ingress)))
		read.verdict = 0;
	return read;
}

/* Returns the entry of the flow, or of its denied service, and in *read its snapshot; NULL: there is none. */
SEG_INLINE struct seg_flow *seg_flow_find(const struct seg_pkt *pkt, int service, __u16 port_id, __u8 dir,
					  __u64 generation, struct seg_flow_read *read)
{
	union seg_flow_key key;
	struct seg_flow *flow;

	if (pkt->family == SEG_FAMILY_IPV4) {
		seg_flow_key4(pkt, port_id, dir, service, &key.v4);
		flow = seg_map_lookup(seg_flows4, &key.v4);
		if (flow)
			*read = seg_flow_read(flow, &key, sizeof(key.v4), dir, generation);
	} else {
		seg_flow_key(pkt, port_id, dir, service, &key.v6);
		flow = seg_map_lookup(seg_flows6, &key.v6);
		if (flow)
			*read = seg_flow_read(flow, &key, sizeof(key.v6), dir, generation);
	}
	return flow;
}

/* Whether the packet may be the first of a flow, which the service's denial holds for. */
SEG_INLINE int seg_flow_begins(const struct seg_pkt *pkt)
{
	return pkt->opens || (pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_SCTP);
}

SEG_INLINE __u32 seg_flow_timeout_s(const struct seg_pkt *pkt)
{
	switch (pkt->proto) {
	case IPPROTO_TCP:
		return SEG_TIMEOUT_TCP_S;
	case IPPROTO_UDP:
		return SEG_TIMEOUT_UDP_S;
	case IPPROTO_ICMP:
	case SEG_IP6_ICMP:
		return SEG_TIMEOUT_ICMP_S;
	case IPPROTO_SCTP:
		return SEG_TIMEOUT_SCTP_S;
	default:
		return SEG_TIMEOUT_OTHER_S;
	}
}

SEG_INLINE int seg_flow_has_timed_out(const struct seg_flow *flow, const struct seg_pkt *pkt, __u64 now)
{
	const __u32 most = (__u32)(seg_flow_timeout_s(pkt) * 1000000000ULL >> SEG_FLOW_TICK);

	return (__u32)(now >> SEG_FLOW_TICK) - flow->last_seen + SEG_FLOW_AHEAD > most + SEG_FLOW_AHEAD;
}

/* Emits a close event without waking the engine, because no packet waits for it. */
SEG_INLINE void seg_flow_close(struct seg_flow *flow, const struct seg_pkt *pkt, __u64 session, __u16 port_id,
			       __u8 dir)
{
	struct seg_flow_way *way = &flow->ways[SEG_WAY(dir)];
	struct seg_close_event *end;
	struct seg_control *control;
	__u32 worker;
	void *ring;

	if (way->closed & pkt->closes)
		return;
	way->closed |= pkt->closes;
	worker = seg_worker_of(seg_pair(pkt));
	ring = seg_map_lookup(seg_closes, &worker);
	end = ring ? bpf_ringbuf_reserve(ring, sizeof(*end), 0) : NULL;
	/* verifier: one check of `end` alone, because a second one would look like another way out to 6.1. */
	if (!end) {
		control = seg_map_lookup(seg_control, &worker);
		if (control && !control->closes_lost)
			control->closes_lost = 1;
		return;
	}
	end->session = session;
	seg_flow_key(pkt, port_id, dir, 0, &end->key);
	end->family = pkt->family;
	end->dir = dir;
	end->close = pkt->closes;
	__builtin_memset(end->pad, 0, sizeof(end->pad));
	bpf_ringbuf_submit(end, BPF_RB_NO_WAKEUP);
}

SEG_INLINE int seg_flow_verdict(struct __sk_buff *skb, struct seg_pkt *pkt, __u16 port_id,
				const __u8 dir)
{
	__u32 index = port_id;
	const __u64 *current;
	__u64 generation, now;
	struct seg_flow_read read = { 0 };
	struct seg_flow *flow = NULL;
	struct seg_flow_way *way;
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
		flow = seg_flow_find(pkt, service, port_id, dir, generation, &read);
	}
	pkt->known = flow && !service;
	if (!flow || !read.verdict || (service && read.verdict != SEG_VERDICT_DENY))
		return SEG_R_NONE;
	way = &flow->ways[SEG_WAY(dir)];
	/* The coarse clock lags by a tick at most and is 10 ns cheaper. */
	now = bpf_ktime_get_coarse_ns();
	if (seg_flow_has_timed_out(flow, pkt, now))
		return SEG_R_NONE;
	/* The engine answers the connection that it blocked. */
	if (pkt->closes && read.verdict == SEG_VERDICT_DENY)
		return SEG_R_NONE;
	if (seg_must_defer_to_engine(flow, pkt, dir))
		return SEG_R_NONE;
	/* Once in a tick of the coarse clock, because CPUs share the cache line, which for IPv6 is not that of the counters. */
	if (flow->last_seen != (__u32)(now >> SEG_FLOW_TICK))
		flow->last_seen = (__u32)(now >> SEG_FLOW_TICK);
	/* Two CPUs may count for one direction. */
	__sync_fetch_and_add(&flow->packets[SEG_WAY(dir)], 1);
	__sync_fetch_and_add(&flow->bytes[SEG_WAY(dir)], skb->len);
	/* Written once, likewise. */
	if (!way->payload && (service ? seg_flow_first(flow) != (pkt->icmp_type ? pkt->dport : pkt->sport) : pkt->payload))
		way->payload = 1;
	if (pkt->closes)
		seg_flow_close(flow, pkt, read.session, port_id, dir);
	return read.verdict == SEG_VERDICT_ALLOW ? SEG_R_FLOW_ALLOW : SEG_R_FLOW_DENY;
}

#endif
