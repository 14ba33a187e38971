/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The one contract between the BPF programs, the C engine and Python.
 *
 * Everything that crosses a process or the kernel border is declared here and nowhere else: bcc
 * compiles it into the programs, gcc into the engine, cffi parses it for Python (SEG_ABI_CDEF).
 * The pins' directory carries a hash of the contract without comments and captions: one layout, one set of maps.
 * Structs use fixed widths and explicit padding; multi-byte packet fields are in network order.
 */
#ifndef SEGCTL_ABI_H
#define SEGCTL_ABI_H

#ifdef SEG_ABI_CDEF
#define SEG_ABI_SIZE(type, bytes)
#else
#include <linux/types.h>
#define SEG_ABI_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#endif

#include "segctl_reasons.h"

enum seg_limit {
	SEG_VBR_IFINDEX = 10000000,
	SEG_VTH_IFINDEX = 10000001,
	SEG_PORT_IDS = 65536,		/* ids 1..65535 name a port pair; 0 is "no pair" */
	SEG_FLOWS_MAX = 262144,		/* of each flow map */
	SEG_COUNTERS_MAX = 131072,
	SEG_PORTS_MAX = 16384,		/* two interfaces for each pair; a walk costs by this */
	SEG_ADDRS_MAX = 262144,
	SEG_OWNERS_MAX = 524288,
	SEG_MACS_MAX = 65536,
	SEG_NETS_MAX = 262144,
	SEG_SERVICES_MAX = 16384,
	SEG_CLASSES_MAX = 1048576,	/* two versions, each of 262,144 networks and as many addresses */
	SEG_WORKERS_MAX = 16,
	SEG_QUERIES_MAX = 4096,
	SEG_NAMES_MAX = 65536,
	SEG_NAME_TEXT = 1000,
	SEG_OPENS_BYTES = 1048576,	/* ring buffer: 13,107 connections */
	SEG_CLOSES_BYTES = 1048576,	/* ring buffer: 16,384 ends */
	SEG_EVENTS_BYTES = 262144,
};

/* The first four bytes of a UCMAC ("NeuV"), of a TAPMAC ("NeuT") and of a BCMAC; the last two are the port id. A frame
 * with a UCMAC is held until the engine sends it back, and so is one to a BCMAC, which goes to a workload for a group.
 * One with a TAPMAC is a copy of a frame that was sent on. The frame says it, because the port's mode may change. */
enum seg_mac_prefix {
	SEG_UCMAC_0 = 0x4e, SEG_UCMAC_1 = 0x65, SEG_UCMAC_2 = 0x75, SEG_UCMAC_3 = 0x56,
	SEG_TAPMAC_3 = 0x54,
	SEG_BCMAC_0 = 0xff, SEG_BCMAC_1 = 0xff, SEG_BCMAC_2 = 0xff, SEG_BCMAC_3 = 0x00,
};

enum seg_role { SEG_ROLE_VEX = 1, SEG_ROLE_VIN = 2 };

/* As the workload sees it: EGRESS enters on vin, INGRESS on vex. */
enum seg_dir { SEG_DIR_EGRESS = 1, SEG_DIR_INGRESS = 2 };

enum seg_mode {
	SEG_MODE_DISCOVER = 1, SEG_MODE_MONITOR = 2, SEG_MODE_PROTECT = 3, SEG_MODE_QUARANTINE = 4,
};

enum seg_verdict { SEG_VERDICT_ALLOW = 1, SEG_VERDICT_DENY = 2 };

enum seg_family { SEG_FAMILY_IPV4 = 4, SEG_FAMILY_IPV6 = 6 };

enum seg_port_flag {
	SEG_PORT_FAIL_OPEN = 1,		/* protect: a stale heartbeat passes what it would drop */
	SEG_PORT_PASS_OTHER = 2,	/* ethertypes that are not IP/ARP, and VLAN-tagged frames, pass */
	SEG_PORT_ANY_SOURCE = 4,	/* the workload forwards for others: no source address check */
	SEG_PORT_PEER_OK = 8,		/* this port's peer_ifindex may be reached by bpf_redirect_peer */
	SEG_PORT_QUARANTINE = 16,	/* seg_reinject only: frames still in the engine are dropped on vbr */
	SEG_PORT_ELSEWHERE = 32,	/* seg_reinject only, no ifindex: another datapath's port */
	SEG_PORT_SERVES_ROUTER = 64,	/* the workload may send router advertisements and redirects */
};

/* seg_ports: key __u32 ifindex of a vex or a vin. The programs read one snapshot of what is sealed (segctl_seal.h). */
struct seg_port {
	__u32 peer_ifindex;	/* the vin of a vex, the vex of a vin */
	__u16 port_id;
	__u8 role;		/* enum seg_role: what this ifindex is */
	__u8 mode;		/* enum seg_mode */
	__u8 mac[6];		/* the workload's */
	__u8 redirect_peer_dmac[6];	/* redirect_peer only for a frame whose DA is this (with SEG_PORT_PEER_OK) */
	__u32 flags;		/* enum seg_port_flag */
	__u32 segment;		/* the host's bridge that vex is on, as a number; 0: none, or not known */
	__u16 owner;		/* the workload: the id of its first port */
	__u8 pad[2];
	__u32 seal, pad2;	/* of the key and of what is above */
	__u64 paced_ns;		/* of a vin, the kernel's: by when its ARP, ND, IGMP, MLD would have gone at a steady pace */
};
SEG_ABI_SIZE(seg_port, 48);

/* seg_reinject: array by port id; vex_ifindex 0 = no such pair (SEG_PORT_ELSEWHERE: not here). */
struct seg_reinject_port {
	__u32 vex_ifindex;
	__u32 vin_ifindex;
	__u8 mac[6];		/* the workload's */
	__u8 host_mac[6];	/* of vex's peer, for redirect_peer towards the host */
	__u32 vex_flags;	/* towards vex: SEG_PORT_PEER_OK, SEG_PORT_QUARANTINE */
	__u32 vin_flags;	/* towards vin: the same */
};
SEG_ABI_SIZE(seg_reinject_port, 28);

#include "segctl_flow.h"

/* seg_control: array by worker (segctl_worker.h), mmapable. The first cache line, read for each packet, does not change while
 * they flow. `flow_secret`, `workers` and `class_last` are the first entry's alone, all else is each worker's own. */
struct seg_control {
	__u64 flow_secret[7];		/* the first engine's: of seg_flow.seal */
	__u32 heartbeat_timeout_ns;	/* the agent's: older than this, and the engine is down */
	__u32 workers;			/* the agent's: engines that share the packets; 0: one */
	__u64 heartbeat_ns;		/* the engine's: CLOCK_MONOTONIC of its last round */
	__u32 producer_cpu;		/* the kernel's: enum seg_producer, or 1 + the CPU; the engine clears it */
	__u32 share_hit;		/* the kernel's: enum seg_share_hit, bits; the engine clears it */
	__u64 share_gap_ns;		/* the engine's: how far apart a port's packets may come to it; 0: at will */
	__u64 share_ahead_ns;		/* the engine's: how far ahead of that pace a port or peer may be */
	__u64 share_seed;		/* the engine's, secret: of the hash of peers */
	__u64 drained_ns;		/* the engine's: when it found all rings empty; its lowest bit changes if it had frames since */
	__u32 opens_nothing;		/* the engine's: 1 while no program may open a connection by itself */
	__u32 closes_lost;		/* the kernel's: 1 after seg_closes was full; the engine clears it, and looks for closed flows */
	__u32 class_version;		/* the engine's: of seg_classes, the one in force; 0: none */
	__u32 class_last;		/* the engines', the first entry's alone: the last one that was given to a policy */
};
SEG_ABI_SIZE(seg_control, 128);

/* IPv6 extension headers (IANA's list without AH and ESP) hide what they carry: no flow map answers for them. */
#define SEG_PROTO_IS_EXTENSION(proto) \
	((proto) == 0 || (proto) == 43 || (proto) == 44 || (proto) == 60 || (proto) == 135 || \
	 (proto) == 139 || (proto) == 140 || (proto) == 253 || (proto) == 254)

enum seg_producer { SEG_PRODUCER_NONE = 0, SEG_PRODUCER_MANY = 0x7fffffff };

/* seg_shares: for each worker an array by port id and direction, then (SEG_SHARE_PORTS) by a hash of port, direction and
 * peer. The kernel's; CLOCK_MONOTONIC: when at the pace of seg_control.share_gap_ns these would have come. */
struct seg_share {
	__u64 due_ns;		/* what the engine was given */
	__u64 asked_ns;		/* all that was sent */
};
SEG_ABI_SIZE(seg_share, 16);

enum seg_share_limit {
	SEG_SHARE_PORTS = 2 * SEG_PORT_IDS,
	SEG_SHARE_PEERS = 65536,
	SEG_SHARES = SEG_SHARE_PORTS + SEG_SHARE_PEERS,
	SEG_SHARE_AHEAD_NS = 32000000,	/* a sender may be this far ahead of its pace, so it need not send evenly */
	SEG_SHARE_LEAVE = 8,		/* a greedy sender, which is twice as far ahead, has one of so many packets */
};

/* Bits: a packet was refused; a sender that is not greedy is near its limit. */
enum seg_share_hit { SEG_SHARE_REFUSED = 1, SEG_SHARE_NEAR = 2 };

/* seg_addrs: the source addresses that a workload may use, and the broadcast addresses of its subnets. Value: __u8, which
 * nobody reads, so it needs no seal. seg_nets needs none for the same reason. */
enum seg_addr_kind { SEG_ADDR_OWN = 1, SEG_ADDR_BROADCAST = 2 };

struct seg_addr_key {
	__u16 owner;		/* seg_port.owner */
	__u8 family;		/* enum seg_family */
	__u8 kind;		/* enum seg_addr_kind */
	__u8 addr[16];		/* IPv4 in the first four bytes, the rest zero */
};
SEG_ABI_SIZE(seg_addr_key, 20);

/* seg_owners: which attached workload has an address, anywhere (segment 0) and on each segment that it has a port on. */
struct seg_owner_key {
	__u32 segment;
	__u8 addr[16];
	__u8 family;
	__u8 pad[3];
};
SEG_ABI_SIZE(seg_owner_key, 24);

struct seg_owner {
	__u16 owner;		/* 0: several */
	__u8 spare;		/* no interface has it now: others may use it, but not probe for it */
	__u8 pad[5];
	__u32 seal;		/* as seg_port's */
};
SEG_ABI_SIZE(seg_owner, 12);

/* seg_macs: whose a MAC is on a segment. */
struct seg_mac_key {
	__u32 segment;
	__u8 mac[6];
	__u8 pad[2];
};
SEG_ABI_SIZE(seg_mac_key, 12);

struct seg_mac {
	__u16 owner;		/* 0: the host's */
	__u8 any_source;	/* it forwards for others */
	__u8 serves;		/* enum seg_serves, bits */
	__u8 twins;		/* a workload elsewhere has an address of one on the segment too */
	__u8 pad[3];
	__u32 seal;		/* as seg_port's */
};
SEG_ABI_SIZE(seg_mac, 12);

enum seg_serves { SEG_SERVES_ROUTER = 1, SEG_SERVES_DHCP = 2 };

/* seg_nets: the networks of the policy's CIDR groups (LPM). Value: __u32, 1. */
struct seg_net_key {
	__u32 prefix_len;	/* 8 more than the network's */
	__u8 family;
	__u8 addr[16];
	__u8 pad[3];
};
SEG_ABI_SIZE(seg_net_key, 24);

/* seg_queries: LRU hash, the engines' alone: queries to groups, and DHCP servers (dir 0). Their answers come from other
 * addresses, so to another worker than the query. */
struct seg_query_key {
	__u16 port_id;
	__u8 dir;		/* enum seg_dir: in which it was asked */
	__u8 proto;
	__u8 family;
	__u8 pad[3];
	__u16 asker_port;	/* host order; ICMP: the identifier */
	__u16 asked_port;	/* ICMP: the query's type */
	__u8 pad2[4];
	__u8 asker[16];		/* of DHCP: none, as its client may have none yet */
};
SEG_ABI_SIZE(seg_query_key, 32);

struct seg_query {
	__u64 last_ns;		/* CLOCK_MONOTONIC: the last that an engine saw */
	__u32 rule_id;
	__u32 pad;
	__u8 asked[16];		/* the group; the DHCP server */
};
SEG_ABI_SIZE(seg_query, 32);

/* seg_names: the engines' alone: what an answer of DNS told a port of an address. Its flows to there come to another worker
 * than the answer. */
struct seg_name_key {
	__u16 port_id;
	__u8 family;
	__u8 slot;		/* one of several names of the address */
	__u8 pad[4];
	__u8 address[16];
};
SEG_ABI_SIZE(seg_name_key, 24);

struct seg_name {
	__u64 expires_ns;	/* CLOCK_MONOTONIC */
	__u64 learnt_ns;
	__u32 ttl;
	__u16 length;		/* of the text */
	__u8 resolver_family;
	__u8 is_hint;
	__u8 resolver[16];
	char text[SEG_NAME_TEXT];	/* the names, each with a zero behind */
};
SEG_ABI_SIZE(seg_name, 1040);

/* seg_counters: per-CPU hash. */
struct seg_counter_key {
	__u16 port_id;		/* 0: the frame belonged to no pair */
	__u16 reason;		/* enum seg_reason */
};
SEG_ABI_SIZE(seg_counter_key, 4);

struct seg_counter {
	__u64 packets;
	__u64 bytes;
	__u64 passed;		/* of packets: would have been dropped, but the mode only records */
	__u64 last_event_ns;	/* one seg_event per second, CPU, port and reason at most */
};
SEG_ABI_SIZE(seg_counter, 32);

/* seg_events: ring buffer, one record per reported drop. Addresses are zero where not parsed. */
struct seg_event {
	__u64 time_ns;
	__u64 packets;		/* the counter of this CPU at that moment */
	__u32 ifindex;
	__u32 frame_len;
	__u16 port_id;
	__u16 reason;
	__u16 ethertype;	/* host order */
	__u8 dir;		/* enum seg_dir, 0 on vbr */
	__u8 proto;
	__u8 passed;
	__u8 family;		/* enum seg_family, 0 = not IP */
	__u16 sport;
	__u16 dport;
	__u8 dmac[6];
	__u8 smac[6];
	__u8 saddr[16];
	__u8 daddr[16];
	__u8 pad[6];
};
SEG_ABI_SIZE(seg_event, 88);

#endif
