/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The part of the contract (segctl_abi.h) that is about flows: verdicts in the kernel's maps, and what programs tell the
 * engine of connections. */
#ifndef SEGCTL_FLOW_H
#define SEGCTL_FLOW_H

/* seg_gens: array by port id of __u64; 0 = no flow of this port is cached. Mmapable. */

/* A flow has one key, whichever end sends: `local` is the workload's. ICMP and ICMPv6, echo alone: local_port is the
 * identifier, remote_port = direction of the request << 8 | its type, so that two pings with one identifier, one each way,
 * are two flows (both as host value, htons'd). In the key of a denied service the initiator's port, or the identifier, is 0:
 * it holds for every one. */
struct seg_flow_key4 {
	__u16 port_id;		/* host order */
	__u8 proto;
	__u8 pad;
	__u32 local;
	__u32 remote;
	__u16 local_port;
	__u16 remote_port;
};
SEG_ABI_SIZE(seg_flow_key4, 16);

struct seg_flow_key6 {
	__u16 port_id;
	__u8 proto;
	__u8 pad;
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
};
SEG_ABI_SIZE(seg_flow_key6, 40);

/* A direction of a flow, which its own packets write: two CPUs that carry the two do not undo each other's. */
struct seg_flow_way {
	__u8 verdict : 2;	/* enum seg_verdict; 0: this direction is the engine's */
	__u8 phase : 2;		/* enum seg_flow_phase; the kernel ends it */
	__u8 closed : 2;	/* the kernel's: enum seg_close, what it let pass */
	__u8 payload : 1;	/* the kernel's: 1 after a TCP segment with data; of a denied service, after another source port's */
	__u8 behind : 1;	/* while it settles: the lowest bit of drained_ns at its last packet to the engine */
};
SEG_ABI_SIZE(seg_flow_way, 1);

/* seg_flows4, seg_flows6; arrays are by SEG_WAY(direction). The engine writes all but what is marked; lib/seg_open.h makes
 * the entries of connections that it opens. With 56 bytes an entry of seg_flows4 takes 128 bytes of memory, and a packet
 * touches two cache lines of it; the next larger value would take 192, and a third one. */
struct seg_flow {
	__u64 packets[2];	/* the kernel's: SEG_FLOW_PACKETS(); above them, packets to the engine while it settles */
	__u64 bytes[2];		/* the kernel's: frame lengths, GSO frames as one */
	__u64 session;		/* the handle of the engine's session, or SEG_OPENED_BY_KERNEL | when it was opened */
	__u64 seal;		/* seg_seal() of the key, the session, the port's generation and both verdicts */
	__u32 last_seen;	/* CLOCK_MONOTONIC >> SEG_FLOW_TICK; the kernel's, after the first write */
	__u8 settle[2];		/* the kernel's, while a direction settles: when its own last packet went to the engine,
				 * CLOCK_MONOTONIC >> SEG_SETTLE_TICK. Or a number, low byte first: while it opens, the first
				 * packet's CPU; of a denied service, the engine's, the first packet's source port, or ICMP
				 * identifier, in network order */
	struct seg_flow_way ways[2];
};
SEG_ABI_SIZE(seg_flow, 56);

#define SEG_WAY(dir) ((dir) - SEG_DIR_EGRESS)
#define SEG_FLOW_PACKETS(packets) ((packets) & ((1ULL << SEG_FLOW_SETTLED) - 1))
enum seg_flow_shift { SEG_FLOW_SETTLED = 48 };

/* A tick is 262 us. The count starts again after 13 days, long after the engine has ended what was silent for so long. */
enum seg_flow_tick {
	SEG_FLOW_TICK = 18,
	SEG_SETTLE_TICK = 15,		/* 33 us: a byte of them knows pauses of 8 ms */
	SEG_FLOW_AHEAD = 1 << 20,	/* ticks by which last_seen may be ahead of a CPU's clock */
};

/* Silence after which no packet hits, in seconds: the longest of the engine's timeouts for the protocol. */
enum seg_flow_timeout {
	SEG_TIMEOUT_TCP_S = 1200, SEG_TIMEOUT_SCTP_S = SEG_TIMEOUT_TCP_S, SEG_TIMEOUT_UDP_S = 120, SEG_TIMEOUT_ICMP_S = 5,
	SEG_TIMEOUT_OTHER_S = 180,
};

enum seg_flow_phase {
	SEG_FLOW_STEADY = 0,
	SEG_FLOW_OPENING = 1,		/* the initiator's: its second packet is still to come */
	SEG_FLOW_SETTLING = 2,		/* earlier packets may still be in the engine, so later ones go there too */
};

enum seg_settle {
	SEG_SETTLE_NS = 2000000,	/* a pause after which every packet that the engine sent on has arrived */
	SEG_SETTLE_TCP_NS = 200000,	/* the same for TCP, which reorders segments itself */
	SEG_SETTLE_MAX_NS = 100000000,	/* a pause after which the engine has judged every packet */
	SEG_SETTLE_PACKETS = 8192,	/* packets without a pause: as many as the small ring holds */
	SEG_SETTLE_TCP = 1024,		/* the same for TCP */
};

enum seg_close { SEG_CLOSE_FIN = 1, SEG_CLOSE_RST = 2 };	/* bits */

#define SEG_OPENED_BY_KERNEL 0x8000000000000000ULL

/* seg_classes: LPM trie, the engine's. To which class of the node's policy an address belongs: two of one class are judged
 * alike. Value: __u32, of that version; 0: the address does not tell it, ask the engine. A network takes up to 160 bytes. */
struct seg_class_key {
	__u32 prefix_len;	/* 40 more than the network's */
	__u32 version;		/* of the policy; a number is never used again, so a class never has another meaning */
	__u8 family;
	__u8 addr[16];
	__u8 pad[3];
};
SEG_ABI_SIZE(seg_class_key, 28);

/* seg_services: LRU hash. What the engine has allowed by the port's address, the peer's class, protocol and the service's
 * port alone, so that a program opens each further flow by itself. */
struct seg_service_key {
	__u16 port_id;		/* host order */
	__u8 dir;		/* enum seg_dir: in which it is opened */
	__u8 proto;
	__u16 service_port;	/* ICMP: the type, htons'd */
	__u8 family;
	__u8 pad;
	__u64 peer_class;	/* the version << 32 | the class */
	__u8 local[16];		/* the workload's address */
};
SEG_ABI_SIZE(seg_service_key, 32);

struct seg_service {
	__u64 generation;	/* it holds only while equal to seg_gens[port_id] */
	__u64 seal;		/* seg_seal(): that all this is of this service */
	__u64 rule_key;		/* of the rule that decided, for the engine's records */
	__u64 learned_ns;	/* CLOCK_MONOTONIC: earlier packets may still be in the engine */
	__u32 rule_id;
	__u8 verdict;		/* enum seg_verdict */
	__u8 pad[3];
};
SEG_ABI_SIZE(seg_service, 40);

/* seg_credits: for each worker an array by port id of __s64: how many connections programs may still open for the port. The
 * engine writes it whenever it has learned of one; programs count it down. Mmapable. */

/* seg_opens: for each worker a ring buffer: a flow that a program opened. Where it is full, the packet goes to the engine. */
struct seg_open_event {
	__u64 session;		/* as in the entry */
	__u64 generation;
	__u64 rule_key;
	struct seg_flow_key6 key;	/* an IPv4 address is its first four bytes */
	__u32 rule_id;
	__u8 family;		/* enum seg_family */
	__u8 dir;		/* enum seg_dir, of the first packet */
	__u8 pad[2];
};
SEG_ABI_SIZE(seg_open_event, 72);

/* seg_closes: for each worker a ring buffer, which it reads at least every 20 ms: the first FIN or RST of a connection's direction
 * that the kernel let pass. If the ring is full, seg_control.closes_lost says that entries alone have it. */
struct seg_close_event {
	__u64 session;		/* as in the entry */
	struct seg_flow_key6 key;	/* as seg_open_event.key */
	__u8 family;		/* enum seg_family */
	__u8 dir;		/* enum seg_dir, of the packet */
	__u8 close;		/* enum seg_close */
	__u8 pad[5];
};
SEG_ABI_SIZE(seg_close_event, 56);

#endif
