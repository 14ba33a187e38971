/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Why a packet went where it went, of the contract in segctl_abi.h. */
#ifndef SEGCTL_REASONS_H
#define SEGCTL_REASONS_H

/* The one list for the kernel and the engine.
 * X(name, number, category, caption): categories are steer, pass and drop. Numbers are dense and
 * never change their meaning. */
#define SEG_REASONS(X) \
	X(NONE, 0, steer, "none") \
	X(TO_ENGINE, 1, steer, "sent to the engine") \
	X(FROM_ENGINE, 2, steer, "sent on by the engine") \
	X(FLOW_ALLOW, 3, pass, "carried by the kernel: the flow is allowed") \
	X(ARP, 4, pass, "ARP passes") \
	X(NEIGHBOUR_DISCOVERY, 5, pass, "IPv6 neighbour discovery passes") \
	X(GROUP, 6, pass, "multicast membership (IGMP, MLD) passes") \
	X(OTHER_PASS, 7, pass, "other ethertype or VLAN tag, passed by the port's option") \
	X(FAIL_OPEN, 8, pass, "the engine is down and the port fails open") \
	X(FORGED_UCMAC, 9, drop, "a MAC address reserved for the detour to the engine") \
	X(SPOOFED_MAC, 10, drop, "source MAC is not the workload's") \
	X(SPOOFED_IP, 11, drop, "source address is not the workload's") \
	X(NOT_MINE, 12, drop, "unicast to a MAC or an address that is not the workload's") \
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
	X(STAGED_ALLOW, 38, steer, "a staged policy rule would allow it") \
	X(TAKEN_IP, 39, drop, "source address belongs to another attached workload") \
	X(CLAIMED_IP, 40, drop, "source address is in a CIDR group of the policy and not the workload's") \
	X(PEER_MAC, 41, drop, "source address of an attached workload with a MAC that is not its own") \
	X(ARP_SPOOFED, 42, drop, "ARP in the name of another address or MAC") \
	X(ND_SPOOFED, 43, drop, "neighbour discovery in the name of another address or MAC") \
	X(NOT_SERVED, 44, drop, "router or DHCP server message of a workload that serves none") \
	X(SOURCE_ROUTE, 45, drop, "the packet names its own route") \
	X(LINK_CONTROL, 46, drop, "link control protocol (spanning tree, LLDP)") \
	X(ARP_ND_RATE, 47, drop, "more ARP or neighbour discovery than a workload may send") \
	X(PORT_SHARE, 48, drop, "the port has its share of the packets that the engine takes") \
	X(NOT_INSPECTED, 49, drop, "sent past the inspection, by a device on top of the port's") \
	X(CSUM_PLACE, 50, drop, "an unfinished checksum that would be written over what was judged") \
	X(WRONG_MAC, 51, drop, "to an attached workload's address with a MAC that is not its own") \
	X(TCP_DIFFERS, 52, drop, "a TCP segment repeats bytes with others") \
	X(TCP_USELESS, 53, drop, "a TCP segment that its receiver would throw away") \
	X(HOLD_MEMORY, 54, steer, "no memory to find out a flow's application, which counts as unknown") \
	X(NOT_HELD, 55, drop, "payload that cannot wait for its application, or waits already: its sender repeats it") \
	X(WAITED_IN_VAIN, 56, drop, "payload that waited for its application until its flow ended") \
	X(SYN_RATE, 57, drop, "more connections that nobody takes up than a workload may open") \
	X(TCP_CHECKSUM, 58, drop, "payload with a wrong TCP checksum, of a flow whose application is looked for") \
	X(DNS_ORDER, 59, drop, "DNS over TCP with bytes before it missing: its sender repeats it") \
	X(THREAT, 60, drop, "a threat that the workload's settings drop") \
	X(BAD_REQUEST, 61, drop, "no HTTP request, an incomplete one, or one that servers may read differently") \
	X(SENSOR, 62, drop, "a sensor's pattern is in the payload") \
	X(NAME_MISMATCH, 63, drop, "the name in TLS, QUIC or HTTP is none of the group that allows the address, or cannot be read")

enum seg_reason {
#define SEG_REASON_ENUM(name, number, category, caption) SEG_R_##name = number,
	SEG_REASONS(SEG_REASON_ENUM)
#undef SEG_REASON_ENUM
	SEG_R_COUNT
};

#endif
