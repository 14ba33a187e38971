/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The one contract between the BPF programs, the C engine and Python.
 *
 * Everything that crosses a process or the kernel border is declared here and nowhere else: bcc
 * compiles it into the programs, gcc into the engine, cffi parses it for Python (SEG_ABI_CDEF).
 * The directory of the pins carries the hash of this file, so two layouts never meet in one map.
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

enum seg_limit {
	SEG_VBR_IFINDEX = 10000000,
	SEG_VTH_IFINDEX = 10000001,
	SEG_PORT_IDS = 65536,		/* ids 1..65535 name a port pair; 0 is "no pair" */
	SEG_FLOWS_MAX = 524288,		/* entries of each flow map */
	SEG_COUNTERS_MAX = 131072,
	SEG_PORTS_MAX = 16384,		/* two interfaces for each pair; a walk costs by this */
	SEG_ADDRS_MAX = 32768,
	SEG_ENDS_BYTES = 262144,	/* ring buffer: 10,922 ends */
	SEG_EVENTS_BYTES = 262144,
};

/* The first four bytes of a UCMAC ("NeuV"), of a TAPMAC ("NeuT", the same but for its fourth) and of a
 * BCMAC; the last two are the port id. A frame with a UCMAC is held: it goes on when the engine sends
 * it back. One with a TAPMAC is a copy of a frame that has gone on: it never comes back. So a frame
 * itself says what it is, whatever the port's mode is by the time that somebody looks. */
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
	SEG_PORT_QUARANTINE = 16,	/* seg_returns only: frames still in the engine are dropped on vbr */
	SEG_PORT_ELSEWHERE = 32,	/* seg_returns only, no ifindex: another datapath's port */
};

/* seg_ports: key __u32 ifindex of a vex or a vin. */
struct seg_port {
	__u32 peer_ifindex;	/* the vin of a vex, the vex of a vin */
	__u16 port_id;
	__u8 role;		/* enum seg_role: what this ifindex is */
	__u8 mode;		/* enum seg_mode */
	__u8 mac[6];		/* the workload's */
	__u8 landing_mac[6];	/* redirect_peer only for a frame whose DA is this (with SEG_PORT_PEER_OK) */
	__u32 flags;		/* enum seg_port_flag */
};
SEG_ABI_SIZE(seg_port, 24);

/* seg_returns: array by port id; vex_ifindex 0 = no such pair (SEG_PORT_ELSEWHERE: not here). */
struct seg_return {
	__u32 vex_ifindex;
	__u32 vin_ifindex;
	__u8 mac[6];		/* the workload's */
	__u8 host_mac[6];	/* of vex's peer, for redirect_peer towards the host */
	__u32 vex_flags;	/* towards vex: SEG_PORT_PEER_OK, SEG_PORT_QUARANTINE */
	__u32 vin_flags;	/* likewise towards vin */
};
SEG_ABI_SIZE(seg_return, 28);

/* seg_gens: array by port id of __u64; 0 = no flow of this port is cached. Mmapable. */

/* ICMP and ICMPv6: sport = type << 8 | code, dport = identifier (both as host value, htons'd). */
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

/* seg_flows4, seg_flows6. The engine writes all but what is marked; CLOCK_MONOTONIC throughout. */
struct seg_flow {
	__u64 generation;	/* a hit only while equal to seg_gens[port_id] */
	__u64 last_seen_ns;	/* the kernel's, after the first write */
	__u64 timeout_ns;
	__u64 packets;		/* the kernel's */
	__u64 bytes;		/* the kernel's: frame lengths, GSO frames as one */
	__u64 session;		/* which of the engine's sessions it is of */
	__u8 verdict;		/* enum seg_verdict */
	__u8 payload;		/* the kernel's: 1 after a TCP segment with data */
	__u8 closed;		/* the kernel's: enum seg_close, what it let pass */
	__u8 opening;		/* of who opens a connection: its second packet is still to come */
	__u16 cpu;		/* the kernel's: which had the first, while opening */
	__u8 pad[2];
};
SEG_ABI_SIZE(seg_flow, 56);

enum seg_close { SEG_CLOSE_FIN = 1, SEG_CLOSE_RST = 2 };	/* bits */

/* seg_ends: ring buffer for the engine, which looks every 20 ms at the latest: the first FIN or RST of a
 * connection's direction that the kernel let pass. A full ring loses it; seg_flow.closed has it still. */
struct seg_end {
	__u64 session;
	__u8 dir;		/* enum seg_dir: of the packet */
	__u8 close;		/* enum seg_close */
	__u8 pad[6];
};
SEG_ABI_SIZE(seg_end, 16);

/* seg_control: array of one, mmapable. */
struct seg_control {
	__u64 heartbeat_ns;		/* the engine's: CLOCK_MONOTONIC of its last round */
	__u64 heartbeat_timeout_ns;	/* the agent's: older than this, and the engine is down */
	__u32 steered_from;		/* the kernel's: enum seg_from, or 1 + the CPU; the engine clears it */
	__u32 pad;
};
SEG_ABI_SIZE(seg_control, 24);

enum seg_from { SEG_FROM_NONE = 0, SEG_FROM_MANY = 0x7fffffff };

/* seg_addrs: the source addresses that a workload may use, and the broadcast addresses of its
 * subnets. Value: __u8, enum seg_addr_kind. */
enum seg_addr_kind { SEG_ADDR_OWN = 1, SEG_ADDR_BROADCAST = 2 };

struct seg_addr_key {
	__u16 port_id;
	__u8 family;		/* enum seg_family */
	__u8 pad;
	__u8 addr[16];		/* IPv4 in the first four bytes, the rest zero */
};
SEG_ABI_SIZE(seg_addr_key, 20);

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

/* Why a packet went where it went: the one list for the kernel and the engine.
 * X(name, number, category, caption): categories are steer, pass and drop. Numbers are dense and
 * never change their meaning. */
#define SEG_REASONS(X) \
	X(NONE, 0, steer, "none") \
	X(TO_ENGINE, 1, steer, "sent to the engine") \
	X(FROM_ENGINE, 2, steer, "sent on by the engine") \
	X(FLOW_ALLOW, 3, pass, "carried by the kernel: the flow is allowed") \
	X(ARP, 4, pass, "ARP passes") \
	X(NEIGHBOUR_DISCOVERY, 5, pass, "IPv6 neighbour discovery passes") \
	X(GROUP, 6, pass, "multicast and broadcast pass") \
	X(OTHER_PASS, 7, pass, "other ethertype or VLAN tag, passed by the port's option") \
	X(FAIL_OPEN, 8, pass, "the engine is down and the port fails open") \
	X(FORGED_UCMAC, 9, drop, "a MAC address reserved for the detour to the engine") \
	X(SPOOFED_MAC, 10, drop, "source MAC is not the workload's") \
	X(SPOOFED_IP, 11, drop, "source address is not the workload's") \
	X(NOT_MINE, 12, drop, "unicast to a MAC that is not the workload's") \
	X(L2_GROUP_L3_UNICAST, 13, drop, "unicast address in a group MAC frame") \
	X(MALFORMED, 14, drop, "headers cut short or contradictory") \
	X(OTHER_ETHERTYPE, 15, drop, "ethertype that is neither IP nor ARP") \
	X(VLAN_TAGGED, 16, drop, "VLAN-tagged frame") \
	X(QUARANTINE, 17, drop, "the workload is in quarantine") \
	X(FLOW_DENY, 18, drop, "the flow was denied before") \
	X(ENGINE_DOWN, 19, drop, "the engine is down and the port fails closed") \
	X(NO_PORT, 20, drop, "no pair belongs to this interface") \
	X(DETOUR_MACS, 21, drop, "not exactly one detour MAC on vbr") \
	X(DETOUR_UNKNOWN, 22, drop, "no pair has this detour MAC") \
	X(POLICY_DENY, 23, drop, "a policy rule denies it") \
	X(DEFAULT_DENY, 24, drop, "no policy rule allows it") \
	X(BLOCKED_CONNECTION, 25, drop, "the connection was denied after it was open") \
	X(NO_POLICY, 26, drop, "the engine has no policy for this pair yet") \
	X(ICMP_UNRELATED, 27, drop, "ICMP error that matches no known flow") \
	X(FRAGMENT_OVERLAP, 28, drop, "overlapping fragments") \
	X(FRAGMENT_TIMEOUT, 29, drop, "fragments never completed") \
	X(FRAGMENT_TINY, 30, drop, "first fragment too small for its headers") \
	X(FRAGMENT_MEMORY, 31, drop, "too many incomplete datagrams") \
	X(TCP_FLAGS, 32, drop, "impossible TCP flags") \
	X(SESSION_MEMORY, 33, drop, "the session table is full, or the port holds its share of it") \
	X(TRUNCATED, 34, drop, "the engine received only a part of the frame") \
	X(SEND_FAILED, 35, drop, "the engine could not send the frame on") \
	X(COPY_FAILED, 36, pass, "passed in a tap, but the engine got no copy") \
	X(STAGED_DENY, 37, pass, "a staged policy rule would deny it") \
	X(STAGED_ALLOW, 38, steer, "a staged policy rule would allow it")

enum seg_reason {
#define SEG_REASON_ENUM(name, number, category, caption) SEG_R_##name = number,
	SEG_REASONS(SEG_REASON_ENUM)
#undef SEG_REASON_ENUM
	SEG_R_COUNT
};

#endif
