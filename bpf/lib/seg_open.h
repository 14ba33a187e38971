/* SPDX-License-Identifier: GPL-2.0-only */
/* Flows that a program opens by itself, because the engine has allowed one like them (seg_services): TCP, UDP, SCTP, ICMP echo.
 *
 * API: seg_open(). Returns SEG_R_FLOW_ALLOW, or SEG_R_NONE: ask the engine. The entry and the engine's record are there before
 * the packet goes on; where one of them has no room, there is neither.
 *
 * What goes to the engine all the same, by the packet: what begins no flow (an echo reply, a SYN+ACK, SCTP without INIT);
 * what has an entry already, valid or not, since its session may be another end's; data in a SYN; fragments, IP options and
 * extension headers; VLAN tags; groups; ICMP errors and other types. By the service, which the engine keeps to itself: see
 * flow/sg_open.h. By the moment: another generation, no credit, a full ring or map, an engine that paces who asks it.
 */
#ifndef SEG_OPEN_H
#define SEG_OPEN_H

#include "lib/seg_check.h"
#include "lib/seg_flow.h"

/* Returns the service's port as the key has it. */
SEG_INLINE __u16 seg_service_port(const struct seg_pkt *pkt)
{
	return pkt->icmp_type ? htons(pkt->icmp_type) : pkt->dport;
}

/* Whether the packet says no more than which flow it opens. */
SEG_INLINE int seg_open_is_plain(const struct __sk_buff *skb, const struct seg_pkt *pkt)
{
	if (pkt->known || pkt->options || skb->vlan_present || seg_mac_is_group(pkt->dmac) || seg_to_l3_group(pkt))
		return 0;
	if (pkt->opens)
		return !pkt->payload;
	if (!pkt->decidable)
		return 0;
	return pkt->proto == IPPROTO_UDP || pkt->icmp_type == SEG_ICMP_ECHO || pkt->icmp_type == SEG_ICMP6_ECHO;
}

/* Whether no datagram from before the service was known may still be in the engine: a later one must not overtake it. */
SEG_INLINE int seg_service_is_settled(const struct seg_service *service, const struct seg_control *own)
{
	return (__s64)(own->drained_ns - service->learned_ns) >= SEG_SETTLE_NS ||
	       (__s64)(bpf_ktime_get_ns() - service->learned_ns) >= SEG_SETTLE_MAX_NS;
}

/* What a known service says of its flows. */
struct seg_known {
	__u64 generation;	/* 0: it is not known */
	__u64 rule_key;
	__u32 rule_id;
};

/* Returns what is known of the packet's service, by the peer's class. Its entry is sealed as a flow's: an element may be another
 * service's while it is read. */
SEG_INLINE struct seg_known seg_service_find(const struct seg_pkt *pkt, const struct seg_control *control,
					     const struct seg_control *own, __u16 port_id, const __u8 dir)
{
	struct seg_service_key key __attribute__((aligned(8))) = {
		.port_id = port_id, .dir = dir, .proto = pkt->proto,
		.service_port = seg_service_port(pkt), .family = pkt->family,
	};
	struct seg_known known = { 0 };
	const struct seg_service *service;
	const volatile struct seg_service *shared;
	__u32 index = port_id;
	const __u64 *current = seg_map_lookup(seg_gens, &index);
	__u64 generation;

	if (!current)
		return known;
	/* Before the class: what a new generation means of an address is in seg_classes by then. */
	generation = *(const volatile __u64 *)current;
	key.peer_class = seg_peer_class(pkt, own, dir);
	if (!generation || !key.peer_class)
		return known;
	__builtin_memcpy(key.local, dir == SEG_DIR_EGRESS ? pkt->saddr : pkt->daddr, sizeof(key.local));
	shared = service = seg_map_lookup(seg_services, &key);
	if (!service)
		return known;
	known.rule_id = shared->rule_id;
	known.rule_key = shared->rule_key;
	if (shared->seal == seg_seal(control->flow_secret, (const __u64 *)&key, sizeof(key) / 8,
				     seg_service_rule(known.rule_key, known.rule_id), generation, SEG_VERDICT_ALLOW) &&
	    (pkt->proto == IPPROTO_TCP || seg_service_is_settled(service, own)))
		known.generation = generation;
	return known;
}

SEG_INLINE __u64 seg_flow_seal(const struct seg_control *control, const struct seg_flow *flow, __u64 generation,
			       const union seg_flow_key *key, const __u32 bytes)
{
	return seg_seal(control->flow_secret, key->words, bytes / 8, flow->session, generation,
			seg_flow_verdicts(SEG_VERDICT_ALLOW, SEG_VERDICT_ALLOW));
}

/* 0, or negative and there is no entry. */
SEG_INLINE long seg_open_flow(struct __sk_buff *skb, const struct seg_pkt *pkt, __u16 port_id, const __u8 dir,
			      const struct seg_control *control, __u64 generation, __u64 now)
{
	struct seg_flow flow = {
		.session = now | SEG_OPENED_BY_KERNEL, .last_seen = (__u32)(now >> SEG_FLOW_TICK),
		.ways = { { .verdict = SEG_VERDICT_ALLOW }, { .verdict = SEG_VERDICT_ALLOW } },
	};
	union seg_flow_key key;

	flow.packets[SEG_WAY(dir)] = 1;
	flow.bytes[SEG_WAY(dir)] = skb->len;
	if (pkt->family == SEG_FAMILY_IPV4) {
		seg_flow_key4(pkt, port_id, dir, 0, &key.v4);
		flow.seal = seg_flow_seal(control, &flow, generation, &key, sizeof(key.v4));
		return seg_map_create(seg_flows4, &key, &flow);
	}
	seg_flow_key(pkt, port_id, dir, 0, &key.v6);
	flow.seal = seg_flow_seal(control, &flow, generation, &key, sizeof(key.v6));
	return seg_map_create(seg_flows6, &key, &flow);
}

SEG_INLINE int seg_open(struct __sk_buff *skb, const struct seg_pkt *pkt, __u16 port_id,
			const __u8 dir)
{
	const struct seg_control *control, *own;
	struct seg_open_event *record;
	struct seg_known known;
	void *ring, *credits;
	__s64 *credit;
	__u32 index = port_id, zero = 0, worker;
	__u64 now;

	if (!seg_open_is_plain(skb, pkt))
		return SEG_R_NONE;
	worker = seg_worker_of(seg_pair(pkt));
	control = seg_map_lookup(seg_control, &zero);
	own = seg_map_lookup(seg_control, &worker);
	/* While the engine paces those that ask it, what costs it something is paced, too. */
	if (!control || !own || own->opens_nothing || (own->share_gap_ns && seg_engine_is_alive(own)))
		return SEG_R_NONE;
	known = seg_service_find(pkt, control, own, port_id, dir);
	if (!known.generation)
		return SEG_R_NONE;
	credits = seg_map_lookup(seg_credits, &worker);
	credit = credits ? bpf_map_lookup_elem_((__u64)credits, &index) : NULL;
	ring = seg_map_lookup(seg_opens, &worker);
	if (!credit || *credit <= 0 || !ring)
		return SEG_R_NONE;
	/* One for each record, also of what is opened after all by the engine: the ring has room for every port. */
	__sync_fetch_and_add(credit, -1);
	record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);
	if (!record)
		return SEG_R_NONE;
	now = bpf_ktime_get_ns();
	record->session = now | SEG_OPENED_BY_KERNEL;
	record->generation = known.generation;
	record->rule_key = known.rule_key;
	seg_flow_key(pkt, port_id, dir, 0, &record->key);
	record->rule_id = known.rule_id;
	record->family = pkt->family;
	record->dir = dir;
	record->pad[0] = record->pad[1] = 0;
	if (seg_open_flow(skb, pkt, port_id, dir, control, known.generation, now)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		return SEG_R_NONE;
	}
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return SEG_R_FLOW_ALLOW;
}

#endif
