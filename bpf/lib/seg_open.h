/* SPDX-License-Identifier: GPL-2.0-only */
/* Flows that a program opens by itself, because the engine has allowed one like them (seg_services): TCP, UDP, SCTP, ICMP echo.
 *
 * API: seg_open(). Returns SEG_R_FLOW_ALLOW, or SEG_R_NONE: ask the engine. Both entries and the engine's record are there
 * before the packet goes on; where one of them has no room, there is none of them.
 *
 * What goes to the engine all the same, by the packet: what begins no flow (an echo reply, a SYN+ACK, SCTP without INIT);
 * what has an entry already, valid or not, since its session may be another end's; data in a SYN; fragments, IP options and
 * extension headers; VLAN tags; groups; ICMP errors and other types. By the service, which the engine keeps to itself: see
 * flow/sg_open.c. By the moment: another generation, no credit, a full ring or map, an engine that paces who asks it.
 */
#ifndef SEG_OPEN_H
#define SEG_OPEN_H

#include "lib/seg_check.h"
#include "lib/seg_flow.h"

/* The service's entry, sealed as a flow's: an element may be another service's while it is read. */
SEG_INLINE int seg_service_allows(const struct seg_service *service, const struct seg_service_key *key,
				  const struct seg_control *control, __u64 generation, struct seg_open_event *event)
{
	const volatile struct seg_service *shared = service;

	event->rule_id = shared->rule_id;
	event->rule_key = shared->rule_key;
	return shared->seal == seg_seal(control->flow_secret, (const __u64 *)key, sizeof(*key) / 8,
					seg_service_rule(event->rule_key, event->rule_id), generation, SEG_VERDICT_ALLOW);
}

SEG_INLINE __u64 seg_flow_seal(const struct seg_control *control, const struct seg_open_event *event,
			       const void *key, const __u32 bytes)
{
	return seg_seal(control->flow_secret, key, bytes / 8, event->session, event->generation, SEG_VERDICT_ALLOW);
}

/* Returns the service's port as the key has it. */
SEG_INLINE __u16 seg_service_port(const struct seg_pkt *pkt)
{
	return pkt->icmp_type ? htons(pkt->icmp_type) : pkt->dport;
}

/* Returns the ports of the answers' entry. */
SEG_INLINE struct seg_flow_ports seg_flow_back(const struct seg_pkt *pkt)
{
	if (pkt->icmp_type == SEG_ICMP_ECHO)
		return (struct seg_flow_ports){ htons(SEG_ICMP_ECHO_REPLY << 8), pkt->dport };
	if (pkt->icmp_type == SEG_ICMP6_ECHO)
		return (struct seg_flow_ports){ htons(SEG_ICMP6_ECHO_REPLY << 8), pkt->dport };
	return (struct seg_flow_ports){ pkt->dport, pkt->sport };
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
	return pkt->proto == IPPROTO_UDP ||
	       ((pkt->icmp_type == SEG_ICMP_ECHO || pkt->icmp_type == SEG_ICMP6_ECHO) &&
		pkt->sport == htons((__u16)(pkt->icmp_type << 8)));
}

SEG_INLINE __u16 seg_open_timeout(const struct seg_pkt *pkt)
{
	if (pkt->proto == IPPROTO_UDP)
		return SEG_OPEN_TIMEOUT_UDP_S;
	return pkt->icmp_type ? SEG_OPEN_TIMEOUT_ICMP_S : SEG_OPEN_TIMEOUT_S;
}

/* 0, or negative and nothing is left. `flow` is the initiator's entry. */
SEG_INLINE long seg_open_flow4(const struct seg_pkt *pkt, const struct seg_control *control,
			       const struct seg_open_event *event, struct seg_flow *flow)
{
	const struct seg_flow_ports ports = seg_flow_back(pkt);
	struct seg_flow_key4 key __attribute__((aligned(8))) = {
		.port_id = event->key.port_id, .dir = event->key.dir, .proto = pkt->proto,
		.sport = pkt->sport, .dport = pkt->dport,
	}, back __attribute__((aligned(8))) = {
		.port_id = event->key.port_id, .dir = SEG_DIR_EGRESS + SEG_DIR_INGRESS - event->key.dir,
		.proto = pkt->proto, .sport = ports.sport, .dport = ports.dport,
	};
	long error;

	__builtin_memcpy(&key.saddr, pkt->saddr, sizeof(key.saddr));
	__builtin_memcpy(&key.daddr, pkt->daddr, sizeof(key.daddr));
	__builtin_memcpy(&back.saddr, pkt->daddr, sizeof(key.saddr));
	__builtin_memcpy(&back.daddr, pkt->saddr, sizeof(key.daddr));
	flow->seal = seg_flow_seal(control, event, &key, sizeof(key));
	error = seg_map_create(seg_flows4, &key, flow);
	if (error)
		return error;
	flow->packets = flow->bytes = 0;
	flow->seal = seg_flow_seal(control, event, &back, sizeof(back));
	error = seg_map_create(seg_flows4, &back, flow);
	if (error)
		seg_map_delete(seg_flows4, &key);
	return error;
}

/* Names the other direction. */
SEG_INLINE void seg_flow_turn(struct seg_flow_key6 *key, const __u8 *saddr, const __u8 *daddr,
			      struct seg_flow_ports ports)
{
	key->dir = SEG_DIR_EGRESS + SEG_DIR_INGRESS - key->dir;
	key->sport = ports.sport;
	key->dport = ports.dport;
	__builtin_memcpy(key->saddr, saddr, sizeof(key->saddr));
	__builtin_memcpy(key->daddr, daddr, sizeof(key->daddr));
}

/* Spoils event->key: a second one would be more than the stack has room for. */
SEG_INLINE long seg_open_flow6(const struct seg_pkt *pkt, const struct seg_control *control,
			       struct seg_open_event *event, struct seg_flow *flow)
{
	struct seg_flow_key6 *key = &event->key;
	long error;

	flow->seal = seg_flow_seal(control, event, key, sizeof(*key));
	error = seg_map_create(seg_flows6, key, flow);
	if (error)
		return error;
	flow->packets = flow->bytes = 0;
	seg_flow_turn(key, pkt->daddr, pkt->saddr, seg_flow_back(pkt));
	flow->seal = seg_flow_seal(control, event, key, sizeof(*key));
	error = seg_map_create(seg_flows6, key, flow);
	if (error) {
		seg_flow_turn(key, pkt->saddr, pkt->daddr, (struct seg_flow_ports){ pkt->sport, pkt->dport });
		seg_map_delete(seg_flows6, key);
	}
	return error;
}

/* Whether no datagram from before the service was known may still be in the engine: a later one must not overtake it. */
SEG_INLINE int seg_service_is_settled(const struct seg_service *service, const struct seg_control *own)
{
	return (__s64)(own->drained_ns - service->learned_ns) >= SEG_SETTLE_NS ||
	       (__s64)(bpf_ktime_get_ns() - service->learned_ns) >= SEG_SETTLE_MAX_NS;
}

/* Whether the service is known, by the peer's class; *event gets its rule. Apart, so that its keys leave the stack. */
SEG_INLINE int seg_service_is_known(const struct seg_pkt *pkt, const struct seg_control *control,
				    const struct seg_control *own, __u16 port_id, __u8 dir, struct seg_open_event *event)
{
	const __u64 peer_class = seg_peer_class(pkt, own, dir);
	struct seg_service_key key __attribute__((aligned(8))) = {
		.port_id = port_id, .dir = dir, .proto = pkt->proto,
		.service_port = seg_service_port(pkt), .family = pkt->family, .peer_class = peer_class,
	};
	const struct seg_service *service;

	if (!peer_class)
		return 0;
	__builtin_memcpy(key.local, dir == SEG_DIR_EGRESS ? pkt->saddr : pkt->daddr, sizeof(key.local));
	service = seg_map_lookup(seg_services, &key);
	return service && seg_service_allows(service, &key, control, event->generation, event) &&
	       (pkt->proto == IPPROTO_TCP || seg_service_is_settled(service, own));
}

SEG_INLINE int seg_open(struct __sk_buff *skb, const struct seg_pkt *pkt, __u16 port_id, __u8 dir)
{
	struct seg_flow flow;
	struct seg_open_event event = { 0 }, *record;
	const struct seg_control *control, *own;
	void *ring, *credits;
	const __u64 *current;
	__s64 *credit;
	__u32 index = port_id, zero = 0, worker;
	long error;

	if (!seg_open_is_plain(skb, pkt))
		return SEG_R_NONE;
	worker = seg_worker_of(seg_pair(pkt));
	current = seg_map_lookup(seg_gens, &index);
	control = seg_map_lookup(seg_control, &zero);
	own = seg_map_lookup(seg_control, &worker);
	/* While the engine paces those that ask it, what costs it something is paced, too. */
	if (!current || !control || !own || own->opens_nothing ||
	    (own->share_gap_ns && seg_engine_is_alive(own)))
		return SEG_R_NONE;
	/* Before the class: what a new generation means of an address is in seg_classes by then. */
	event.generation = *(const volatile __u64 *)current;
	if (!event.generation || !seg_service_is_known(pkt, control, own, port_id, dir, &event))
		return SEG_R_NONE;
	credits = seg_map_lookup(seg_credits, &worker);
	credit = credits ? bpf_map_lookup_elem_((__u64)credits, &index) : NULL;
	ring = seg_map_lookup(seg_opens, &worker);
	if (!credit || *credit <= 0 || !ring)
		return SEG_R_NONE;
	/* One for each record, also of what is opened after all by the engine: the ring has room for every port. */
	__sync_fetch_and_add(credit, -1);
	flow = (struct seg_flow){
		.packets = 1, .bytes = skb->len, .verdict = SEG_VERDICT_ALLOW, .timeout_s = seg_open_timeout(pkt),
		.last_seen_ns = bpf_ktime_get_ns(),
	};
	flow.generation = event.generation;
	flow.session = event.session = flow.last_seen_ns | SEG_OPENED_BY_KERNEL;
	event.family = pkt->family;
	event.key = seg_flow_key(pkt, port_id, dir);
	record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);
	if (!record)
		return SEG_R_NONE;
	*record = event;
	error = pkt->family == SEG_FAMILY_IPV4 ? seg_open_flow4(pkt, control, &event, &flow) :
						 seg_open_flow6(pkt, control, &event, &flow);
	if (error) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		return SEG_R_NONE;
	}
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return SEG_R_FLOW_ALLOW;
}

#endif
