/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The part of the contract (segctl_abi.h) that is about flows: verdicts in the kernel's maps, and what programs tell the
 * engine of connections. */
#ifndef SEGCTL_FLOW_H
#define SEGCTL_FLOW_H

/* seg_gens: array by port id of __u64; 0 = no flow of this port is cached. Mmapable. */

/* ICMP and ICMPv6: sport = type << 8 | code, dport = identifier (both as host value, htons'd). In the key of a denied
 * service the source port, or the ICMP identifier, is 0: it holds for every one. */
struct seg_flow_key4 {
	__u16 port_id;		/* host order */
	__u8 dir;		/* enum seg_dir */
	__u8 proto;
	__u32 saddr;
	__u32 daddr;
	__u16 sport;
	__u16 dport;
};
SEG_ABI_SIZE(seg_flow_key4, 16);

struct seg_flow_key6 {
	__u16 port_id;
	__u8 dir;
	__u8 proto;
	__u8 saddr[16];
	__u8 daddr[16];
	__u16 sport;
	__u16 dport;
};
SEG_ABI_SIZE(seg_flow_key6, 40);

/* seg_flows4, seg_flows6. The engine writes all but what is marked; lib/seg_open.h makes those of connections that it
 * opens. CLOCK_MONOTONIC throughout. */
struct seg_flow {
	__u64 generation;	/* a hit only while equal to seg_gens[port_id] */
	__u64 last_seen_ns;	/* the kernel's, after the first write */
	__u64 packets;		/* the kernel's */
	__u64 bytes;		/* the kernel's: frame lengths, GSO frames as one */
	__u64 session;		/* the handle of the engine's session, or SEG_OPENED_BY_KERNEL | when it was opened */
	__u64 seal;		/* seg_seal() of the key and of what is judged by */
	__u16 timeout_s;
	__u8 verdict;		/* enum seg_verdict */
	__u8 payload;		/* the kernel's: 1 after a TCP segment with data; of a denied service, after another source port's */
	__u8 closed;		/* the kernel's: enum seg_close, what it let pass */
	__u8 phase;		/* enum seg_flow_phase; the kernel ends it */
	__u16 progress;		/* the kernel's. Opening: the first packet's CPU; settling: packets to the engine. Of a denied
				 * service, the engine's: the first packet's source port, or ICMP identifier */
};
SEG_ABI_SIZE(seg_flow, 56);

enum seg_flow_phase {
	SEG_FLOW_STEADY = 0,
	SEG_FLOW_OPENING = 1,		/* of the initiator: its second packet is still to come */
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
/* Of both entries, for as long as there is no engine: its own timers are no longer. */
enum seg_open_timeout { SEG_OPEN_TIMEOUT_S = 1200, SEG_OPEN_TIMEOUT_UDP_S = 120, SEG_OPEN_TIMEOUT_ICMP_S = 5 };

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

/* seg_opens: for each worker a ring buffer: a flow that a program opened, with both entries. Where it is full, the packet
 * goes to the engine. */
struct seg_open_event {
	__u64 session;		/* as in the entries */
	__u64 generation;
	__u64 rule_key;
	struct seg_flow_key6 key;	/* of the first packet; an IPv4 address is its first four bytes */
	__u32 rule_id;
	__u8 family;		/* enum seg_family */
	__u8 pad[3];
};
SEG_ABI_SIZE(seg_open_event, 72);

/* seg_closes: for each worker a ring buffer, which it reads at least every 20 ms: the first FIN or RST of a connection's direction
 * that the kernel let pass. If the ring is full, seg_flow.closed alone has it. */
struct seg_close_event {
	__u64 session;		/* as in the entry */
	struct seg_flow_key6 key;	/* of the packet, as seg_open_event.key */
	__u8 family;		/* enum seg_family */
	__u8 close;		/* enum seg_close */
	__u8 pad[6];
};
SEG_ABI_SIZE(seg_close_event, 56);

#endif
