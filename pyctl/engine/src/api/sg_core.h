/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The engine's core: frames in, verdicts out, no I/O of its own (sans-io).
 *
 * One core belongs to one thread. Whatever it does to the world goes through struct sg_io, which
 * the packet loop (sg_loop.c) and the unit tests implement. Time is handed in, CLOCK_MONOTONIC ns.
 */
#ifndef SG_CORE_H
#define SG_CORE_H

#include "api/sg_apps.h"
#include "api/sg_conditions.h"
#include "api/sg_names.h"
#include "segctl_abi.h"
#include "api/sg_sensors.h"
#include "api/sg_threats.h"

struct sg_core;

/* What Linux prepends to a frame with PACKET_VNET_HDR: struct virtio_net_hdr, 10 bytes. */
enum sg_core_limit { SG_VNET_HDR_LEN = 10, SG_EVENT_TEXT = 136, SG_ANY_PORT_HI = 65535, SG_RULES_MAX = 262144 };

/* A frame from vth, from its Ethernet header on; valid for the call only. */
struct sg_frame {
	const __u8 *data;
	__u32 len;		/* bytes at data */
	__u32 wire_len;		/* bytes the frame had; > len: truncated */
	__u16 vlan_tci;		/* with has_vlan: the tag that the kernel took out */
	__u16 vlan_tpid;
	__u8 has_vlan;
	__u8 vnet[SG_VNET_HDR_LEN];	/* sent on with the frame, unchanged; zero for frames made here */
	__u8 made;		/* by the engine: not received, so not counted as sent on */
};

/* The world. Every function with a result returns 0 or -errno; ctx comes back as given. */
struct sg_io {
	void *ctx;
	/* Queue a frame towards vbr. The bytes are copied or sent before it returns. */
	int (*send)(void *ctx, const struct sg_frame *frame);
	/* key is a struct seg_flow_key4 or seg_flow_key6 by family (enum seg_family). flow_put seals the entry for the port's
	 * generation. flow_get and flow_delete give back the kernel's entry (counters, last_seen). */
	int (*flow_put)(void *ctx, int family, const void *key, const struct seg_flow *flow, __u64 generation);
	int (*flow_get)(void *ctx, int family, const void *key, struct seg_flow *flow);
	int (*flow_delete)(void *ctx, int family, const void *key, struct seg_flow *last);
	int (*service_put)(void *ctx, const struct seg_service_key *key, const struct seg_service *service);
	/* seg_classes; class_put may be called by sg_core_classes_write()'s caller while the core works. */
	int (*class_put)(void *ctx, const struct seg_class_key *key, __u32 class);
	int (*class_delete)(void *ctx, const struct seg_class_key *key);
	void (*class_use)(void *ctx, __u32 version);
	/* Let programs open so many connections for the port from now on. */
	void (*credit)(void *ctx, __u16 port_id, __s64 connections);
	/* What all workers know; not used by one that is alone. */
	int (*query_put)(void *ctx, const struct seg_query_key *key, const struct seg_query *query);
	int (*query_get)(void *ctx, const struct seg_query_key *key, struct seg_query *query);
	int (*name_put)(void *ctx, const struct seg_name_key *key, const struct seg_name *name);
	int (*name_get)(void *ctx, const struct seg_name_key *key, struct seg_name *name);
	int (*name_delete)(void *ctx, const struct seg_name_key *key);
};

/* One compiled rule, as the workload's port sees it: the first that matches decides. */
struct sg_rule {
	__u32 id;
	__u8 dir;		/* enum seg_dir; 0 = both */
	__u8 family;		/* enum seg_family; 0 = both (then prefix_len is 0) */
	__u8 proto;		/* IPPROTO_*; 0 = any */
	__u8 action;		/* enum seg_verdict */
	__u8 peer[16];		/* the other end's network; IPv4 in the first four bytes */
	__u8 prefix_len;
	__u8 pad;
	__u16 port_lo;		/* destination ports of TCP, UDP and SCTP, host order; 0..65535 = any */
	__u16 port_hi;
	__u16 pad2;
};
SEG_ABI_SIZE(sg_rule, 32);

enum sg_policy_flag {
	SG_POLICY_DENY_RST = 1,		/* a denied TCP SYN is answered with RST, not dropped silently */
	SG_POLICY_NO_CACHE = 2,		/* its datapath has no flow map: every packet comes here */
	SG_POLICY_NODE = 4,		/* its rules are the node's (struct sg_node_head), not a list of its own */
	SG_POLICY_SERVES_DHCP = 8,	/* of the node's: the workload may answer DHCP clients */
};

/* A port's policy, replaced as a whole. Flows judged by it carry its generation. */
struct sg_policy {
	__u64 generation;
	__u16 port_id;
	__u8 mode;		/* enum seg_mode: in discover and monitor every verdict passes */
	__u8 default_verdict;	/* enum seg_verdict: for what no rule matches */
	__u32 flags;		/* enum sg_policy_flag */
	__u8 mac[6];		/* the workload's, for frames made here */
	__u8 pad[2];
	__u32 rule_count;
	__u32 segment;		/* the host's bridge, which tells holders of one address apart; 0: none */
	struct sg_threat_settings threats;
	struct sg_sensor_settings sensors;
};
SEG_ABI_SIZE(sg_policy, 80);

/* The node's policy, by groups, as one block of bytes: this head, then as many of each as it counts, in
 * this order: sg_policy, sg_node_rule, sg_node_condition, sg_node_spec, sg_node_cidr, sg_node_fqdn, sg_member,
 * __u32 (groups of members), sensors (struct sg_sensor_head, or nothing), bytes of texts. Group 0 is `any`: everybody is in
 * it. A delta has the same form, without rules, conditions, CIDRs, names and sensors. */
struct sg_node_head {
	__u32 groups;		/* how many there are, `any` included */
	__u32 policies;		/* ports whose sg_policy changes together with it */
	__u32 rules;
	__u32 specs;
	__u32 cidrs;
	__u32 members;
	__u32 member_groups;
	__u32 conditions;
	__u32 texts;
	__u32 fqdns;
	__u32 sensors;		/* bytes */
	__u32 pad;
};
SEG_ABI_SIZE(sg_node_head, 48);

enum sg_rule_flag {
	SG_RULE_STAGED = 1,		/* its verdict is only recorded; the next rules decide */
	SG_RULE_REJECT = 2,		/* a denial is answered */
	SG_RULE_VERIFIES = 4,		/* it is for names: its condition has items of SG_FIELD_NAME */
};

/* A rule for flows from group `source` to group `target`: the first that matches decides. */
struct sg_node_rule {
	__u32 id;
	__u32 source;		/* groups */
	__u32 target;
	__u32 first_spec;
	__u32 specs;
	__u8 action;		/* enum seg_verdict */
	__u8 dir;		/* enum seg_dir: judged at that end alone; 0: at both */
	__u8 flags;		/* enum sg_rule_flag */
	__u8 unknown;		/* with apps: enum seg_verdict for a flow whose application stays unknown; 0: no match */
	__u64 key;		/* hash of the rule's meaning, under which hits are counted; 0: not counted */
	__u64 apps;		/* the applications that it is for, bits 1 << enum sg_app; 0: whatever it is */
	__u32 condition;	/* with apps, or if it verifies: what else must hold, an index of conditions + 1; 0: nothing. Of
				 * what is unknown it holds, but of what may hide a name from a rule that verifies */
	__u32 pad;
};
SEG_ABI_SIZE(sg_node_rule, 48);

struct sg_node_spec {
	__u8 proto;		/* IPPROTO_TCP, _UDP, _SCTP, _ICMP (of IPv4), _ICMPV6 (of IPv6); 0: any */
	__u8 pad;
	__u16 port_lo;		/* destination's, host order; ICMP: the type; 0..65535 for any protocol */
	__u16 port_hi;
	__u16 pad2;
};
SEG_ABI_SIZE(sg_node_spec, 8);

struct sg_node_cidr {
	__u32 group;
	__u8 family;		/* enum seg_family */
	__u8 prefix_len;
	__u8 pad[2];
	__u8 net[16];
};
SEG_ABI_SIZE(sg_node_cidr, 24);

/* A name of a group: an address is in the group for a port that was told, by an answer to a question of its own, that the
 * address has the name. */
struct sg_node_fqdn {
	__u32 group;
	__u8 subdomains;	/* the names that have one or more whole labels before this one, and not this one */
	__u8 length;
	__u8 pad[2];
	char name[SG_NAME_ROOM];	/* lower case, no dot at the end; zeros after it */
};
SEG_ABI_SIZE(sg_node_fqdn, 264);

enum sg_holder {
	SG_HOLDER_ALONE = 0,
	SG_HOLDER_FIRST = 1,		/* the first of several */
	SG_HOLDER_ALSO = 2,		/* another of the same address as the member before */
};

/* The selector groups of a port (family 0), or of an address that workloads have. No groups: no workload has the
 * address any more. */
struct sg_member {
	__u8 family;		/* enum seg_family; 0: a port */
	__u8 holder;		/* enum sg_holder, of the address */
	__u16 port_id;
	__u8 address[16];
	__u32 first_group;
	__u32 groups;
	__u32 segment;		/* of an address that several have: where this one is; 0: not known */
};
SEG_ABI_SIZE(sg_member, 32);

struct sg_node;

struct sg_core_config {
	__u32 max_sessions;
	__u32 flow_cache;	/* 0: no entry goes to the flow maps, every packet stays with the engine */
	__u64 epoch;		/* of its events, unless it continues a former engine's */
	__u32 worker;		/* the engine's number, and how many there are (segctl_worker.h); 0 of 0: it is alone */
	__u32 workers;
};

/* Counts of flow-map entries: of one port, or (port 0) of all ports since the start. */
struct sg_cache_stats {
	__u64 entries;		/* there now */
	__u64 put;
	__u64 refused;		/* no room: the flow stays with the engine, which tries again */
	__u64 evicted;		/* removed while the flow went on: another verdict, policy or timeout */
	__u64 offload_misses;	/* packets of allowed flows that came to the engine although the kernel had the verdict */
	__u64 offload_missed_bytes;
};
SEG_ABI_SIZE(sg_cache_stats, 48);

/* Counters of one port, index = enum seg_reason; port 0 collects what belongs to no port.
 * TO_ENGINE counts every frame received, FROM_ENGINE every one sent on. */
struct sg_reason_count {
	__u64 packets;
	__u64 bytes;
	__u64 passed;		/* of packets: would have been dropped, but the mode only records */
};

/* A flow's end with its counts, or a drop (rate-limited per flow). */
enum sg_event_kind {
	SG_EVENT_FLOW_END = 1, SG_EVENT_DROP = 2, SG_EVENT_VIOLATION = 3,
	SG_EVENT_STAGED = 4,		/* a staged rule's verdict: reason, rule_id */
	SG_EVENT_THREAT = 5,		/* rule_id is the enum sg_threat; reason: SEG_R_NONE, or SEG_R_THREAT and it was dropped */
	SG_EVENT_SENSOR = 6,		/* text names the pattern; reason: SEG_R_NONE, or SEG_R_SENSOR and the flow ended */
};
struct sg_event {
	__u64 time_ns;
	__u64 packets;		/* FLOW_END: both directions, kernel and engine; DROP, THREAT: repeats since the last */
	__u64 bytes;
	__u32 rule_id;		/* 0 = the default decided; THREAT: enum sg_threat */
	__u16 port_id;
	__u16 reason;		/* enum seg_reason */
	__u8 kind;
	__u8 dir;		/* enum seg_dir: in which the flow was initiated */
	__u8 family;
	__u8 proto;
	__u16 sport;		/* host order; of the initiator. ICMP: type << 8 | code */
	__u16 dport;		/* ICMP: identifier */
	__u8 saddr[16];
	__u8 daddr[16];
	/* FLOW_END only, but for what is said of SENSOR: */
	__u64 started_ns;
	__u64 back_packets;	/* of packets: towards the initiator. SENSOR: enum sg_part << 8 | severity */
	__u64 back_bytes;	/* SENSOR: offset in its part after the last byte that matched */
	__u64 kernel_packets;	/* of packets: carried by the kernel, both directions */
	__u64 kernel_bytes;
	__u8 violation;		/* it passed only because the mode or the rule records; reason is why not */
	__u8 answer;		/* enum sg_answered. SENSOR: 0: the initiator sent it, 1: the other side */
	__u8 app;		/* enum sg_app */
	__u8 proof;		/* enum sg_app_proof */
	__u32 flows;		/* how many this is the sum of; 0: it is one */
	/* The name in a handshake, or of a request: METHOD HOST/PATH, as much as has room. SENSOR: SENSOR/PATTERN, and after a space
	 * what matched, if it shows that. Ends with a zero. */
	char text[SG_EVENT_TEXT];
};
SEG_ABI_SIZE(sg_event, 256);

/* What the responder sent. A refusal (RST, ICMP error) or half a handshake is no answer. */
enum sg_answered { SG_ANSWERED_NOT = 0, SG_ANSWERED_OPEN = 1, SG_ANSWERED_DATA = 2 };

/* How often a rule decided: once for each flow at each end. */
struct sg_hit {
	__u64 key;		/* as sg_node_rule's, or SG_HIT_DEFAULT */
	__u64 hits;
	__u64 last_ns;		/* CLOCK_MONOTONIC: the last packet known of a flow that it decided */
	__u64 serial;		/* of its last change */
};
SEG_ABI_SIZE(sg_hit, 32);

enum sg_hit_key { SG_HIT_DEFAULT = 1 };	/* no rule of the node decided */

/* The rules whose hit a flow is; 0: none. */
struct sg_rule_keys {
	__u64 rule;
	__u64 staged;		/* a staged rule that would have decided */
};

/* How far the engine has looked at a flow's payload: why it is not in the kernel. */
enum sg_look {
	SG_LOOK_NONE = 0,	/* no rule asks for its application */
	SG_LOOK_PENDING = 1,	/* payload is held until the application is known */
	SG_LOOK_DECIDED = 2,	/* it is known; inspected bytes are not acknowledged yet */
	SG_LOOK_OVER = 3,	/* as if no rule had asked */
	SG_LOOK_REQUESTS = 4,	/* each of its requests is judged, so it stays with the engine */
	SG_LOOK_SENSORS = 5,	/* told, of no session kept: sensors look at all of it, so it stays with the engine */
};

/* A session as listed. TCP states use the kernel's numbers (TCP_ESTABLISHED = 1, ...). */
struct sg_session_info {
	__u64 created_ns;
	__u64 last_seen_ns;
	__u64 timeout_ns;
	__u64 packets[2];	/* [0] from the initiator, [1] back; kernel-carried ones included */
	__u64 bytes[2];
	__u64 generation;
	__u32 rule_id;
	__u32 id;
	__u16 port_id;
	__u16 sport;
	__u16 dport;
	__u8 dir;
	__u8 family;
	__u8 proto;
	__u8 verdict;
	__u8 tcp_state;
	__u8 cached;		/* the kernel carries it */
	__u8 midstream;
	__u8 violation;		/* passed only because the mode or the rule records: reason says why */
	__u16 reason;		/* enum seg_reason: why it is denied, or would be */
	__u8 saddr[16];
	__u8 daddr[16];
	__u64 kernel_packets;	/* of packets: carried by the kernel, both directions */
	__u64 kernel_bytes;
	__u8 ended;		/* its end event was emitted: it only lingers */
	__u8 answer;		/* enum sg_answered */
	__u8 app;		/* enum sg_app */
	__u8 proof;		/* enum sg_app_proof */
	__u8 look;		/* enum sg_look */
	__u8 pad[3];
	struct sg_rule_keys keys;
	char text[SG_EVENT_TEXT];	/* as an event's */
};
SEG_ABI_SIZE(sg_session_info, 296);

/* NULL when memory is short. io is copied. */
struct sg_core *sg_core_new(const struct sg_io *io, const struct sg_core_config *config);
void sg_core_free(struct sg_core *core);

/* Judge one frame; sends on through io what passes, unless it is a tap's copy (TAPMAC). */
void sg_core_frame(struct sg_core *core, const struct sg_frame *frame, __u64 now_ns);
/* Make the session of a connection that a program opened, as its SYN would have made it; that of a deleted port ends in the
 * next ticks. An event that was handled before changes nothing. */
void sg_core_open_event(struct sg_core *core, const struct seg_open_event *event, __u64 now_ns);
/* Return whether sessions and flow maps have room for the connections that programs open before they learn that there is
 * none. */
int sg_core_has_room(const struct sg_core *core);
/* Handle a FIN or RST that the kernel let pass. The event of a session that is gone is ignored. */
void sg_core_close_event(struct sg_core *core, const struct seg_close_event *event, __u64 now_ns);
/* Close events were lost: find the flows that closed by their entries, a few in each tick. */
void sg_core_closes_lost(struct sg_core *core);
/* Pace the frames of ports without a flow map by this gap (0: no limit), as the kernel paces the others. With `behind`,
 * pace all ports: waiting frames arrived before the kernel knew. Returns bits of enum seg_share_hit since the last call. */
int sg_core_share(struct sg_core *core, __u64 gap_ns, int behind);
/* Whether frames between more than two addresses came since the last call. */
int sg_core_contended(struct sg_core *core);
/* Run timers: call at least every 100 ms. Returns the ns until the next call, at most 100 ms; 0: more timers are due,
 * after the frames that came meanwhile. */
__u64 sg_core_tick(struct sg_core *core, __u64 now_ns);

/* Copy the policy in. -ENOMEM, or -EINVAL for a value out of its enum, leaves the one in force.
 * Open sessions are judged again at their next packet. */
int sg_core_policy_set(struct sg_core *core, const struct sg_policy *policy, const struct sg_rule *rules);
/* Build a node policy out of its block of bytes: 0 and *out, -ENOMEM, or -EINVAL. This function and the next are the
 * only ones that another thread may call while the core works. Free with sg_node_free(), unless swapped in. */
int sg_core_node_build(const struct sg_core *core, const void *bytes, __u32 length,
		       struct sg_node **out);
void sg_node_free(struct sg_node *node);
/* Write the classes of a policy under a version, which programs do not read yet. Returns the version; 0: they are too many,
 * or one was refused. */
__u32 sg_core_classes_write(const struct sg_core *core, struct sg_node *node, __u32 version);
/* Write the classes of the policy in force anew, for maps that are new; without a policy this does nothing. */
void sg_core_classes_rewrite(struct sg_core *core, __u32 version);
/* Put a node policy and the port policies of its block in force together, and its version of seg_classes, or 0; *former
 * (or NULL) is the caller's to free. */
int sg_core_node_swap(struct sg_core *core, struct sg_node *node, __u32 class_version, const void *bytes,
		      __u32 length, struct sg_node **former);
/* Apply a delta: members' groups, and the policies that change with them. -EINVAL changes nothing. */
int sg_core_members_set(struct sg_core *core, const void *bytes, __u32 length);
/* Set the TCP ports that the workload listens on, host order: they tell which side initiated a connection that is
 * older than the engine. Replaces the former list; with count 0 the engine guesses. Returns 0, -ENOMEM or -EINVAL. */
int sg_core_listeners_set(struct sg_core *core, __u16 port_id, const __u16 *ports, __u32 count);
/* Delete a port: its policy and fragments at once. Its sessions are not found any more; they and their flow-map entries
 * end in the next ticks, as fast as their end events find room. */
void sg_core_port_delete(struct sg_core *core, __u16 port_id);

/* out has SEG_R_COUNT places. */
void sg_core_counters(const struct sg_core *core, __u16 port_id, struct sg_reason_count *out);
void sg_core_cache_stats(const struct sg_core *core, __u16 port_id, struct sg_cache_stats *out);
/* No more than so many entries in both flow maps together; those that are there stay. */
void sg_core_cache_limit(struct sg_core *core, __u32 entries);
/* Delete the flow-map entries of up to `max` sessions and add their counts to the sessions; *cursor as in
 * sg_core_sessions. */
void sg_core_cache_drop(struct sg_core *core, __u32 max, __u32 *cursor);
/* What sg_core_events gives: the first has number `first`, the others follow. */
struct sg_event_page {
	__u64 epoch;		/* names the numbering: another one starts anew */
	__u64 first;
	__u64 lost;		/* since the last call: an event beyond its port's share is dropped */
	__u64 lost_drops;	/* since the epoch began: drops and violations, and ends of flows */
	__u64 lost_ends;
};
/* Drop the events up to number `ack` of this epoch, then return up to max of those after `after`, oldest first; they
 * stay until they are acknowledged. If the epoch is not the log's, both numbers are ignored. */
__u32 sg_core_events(struct sg_core *core, __u64 epoch, __u64 ack, __u64 after, struct sg_event *out,
		     __u32 max, struct sg_event_page *page);
/* Make one event of more than eight ended flows that are alike but for the initiator's port, at the ports whose place in
 * ports[SEG_PORT_IDS] is not 0. Returns how many events are left, in their order. Needs no core; without memory it changes
 * nothing. */
__u32 sg_event_fold(struct sg_event *events, __u32 count, const __u8 *ports);
/* Fill in the page's counts of lost events alone, without reading events. */
void sg_core_events_lost(const struct sg_core *core, struct sg_event_page *page);
struct sg_hit_page {
	__u64 epoch;		/* names the counting: another one started from zero */
	__u64 serial;		/* of the last change there was */
	__u64 cursor;		/* where to continue; 0: no more */
};
/* Return up to max of the hits that changed after serial number `after`, from page->cursor on (start at 0). Counts are
 * totals since the epoch began, so reading one twice does no harm. */
__u32 sg_core_hits(const struct sg_core *core, __u64 after, struct sg_hit *out, __u32 max,
		   struct sg_hit_page *page);
/* Return up to max sessions from *cursor on (start at 0; 0 again when done), of a part of the table, which may have none.
 * port_id 0: of all ports, also of deleted ones whose end events wait for room. */
__u32 sg_core_sessions(struct sg_core *core, __u16 port_id, struct sg_session_info *out, __u32 max,
		       __u32 *cursor);
__u32 sg_core_session_count(const struct sg_core *core);
/* Return up to max of the addresses that a port (0: each) has learnt with a name, from *cursor on, as sg_core_sessions. An
 * address that has several names comes once for each. */
__u32 sg_core_names(struct sg_core *core, __u16 port_id, struct sg_name_record *out, __u32 max, __u32 *cursor);
/* Return up to max records of the names that ports have learnt of these addresses. */
__u32 sg_core_names_of(struct sg_core *core, const struct sg_name_query *queries, __u32 count,
		       struct sg_name_record *out, __u32 max);
/* Count what a port's answers taught; port 0: all ports' since the start. */
void sg_core_name_counts(const struct sg_core *core, __u16 port_id, struct sg_name_counts *out);

/* Room for what a successor finds: a head, the events, the hits, the names, the questions, the sessions. */
enum sg_store_limit {
	SG_STORE_HEAD = 4096, SG_STORE_EVENTS = (8 << 20) + 4096, SG_STORE_HITS = 1 << 22, SG_STORE_SESSION = 320,
	SG_STORE_NAMES = 1 << 25, SG_STORE_QUESTIONS = 1 << 21,
	SG_STORE_SESSIONS = SG_STORE_HEAD + SG_STORE_EVENTS + SG_STORE_HITS + SG_STORE_NAMES +
			    SG_STORE_QUESTIONS,		/* from here on */
};
/* Keep sessions, events, hits, names and questions in this memory from now on; with `keep`, take over those that a former engine left in
 * it: each session is judged again at its next packet, and the kernel's counts are added to it. Returns how many;
 * -EBUSY if sessions are open already, -EINVAL for too little room. The memory's content is not trusted. */
int sg_core_adopt(struct sg_core *core, void *memory, __u64 bytes, int keep, __u64 now_ns);

#endif
