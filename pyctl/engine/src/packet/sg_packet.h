/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A decoded packet, and what a frame's MACs and meta data say. */
#ifndef SG_PACKET_H
#define SG_PACKET_H

#include "api/sg_core.h"

enum sg_ethertype { SG_ETH_IPV4 = 0x0800, SG_ETH_ARP = 0x0806, SG_ETH_IPV6 = 0x86dd };

enum sg_proto {
	SG_PROTO_ICMP = 1, SG_PROTO_IGMP = 2, SG_PROTO_TCP = 6, SG_PROTO_UDP = 17, SG_PROTO_ICMPV6 = 58,
	SG_PROTO_SCTP = 132,
};

enum sg_tcp_flag {
	SG_FIN = 0x01, SG_SYN = 0x02, SG_RST = 0x04, SG_PSH = 0x08, SG_ACK = 0x10, SG_URG = 0x20,
};

enum sg_decode_size {
	SG_ETH_LEN = 14, SG_IPV4_LEN = 20, SG_IPV6_LEN = 40, SG_TCP_LEN = 20, SG_UDP_LEN = 8,
	SG_ICMP_LEN = 8, SG_IPV6_FRAGMENT_LEN = 8, SG_SCTP_LEN = 16,	/* with the head of the first chunk */
	SG_IGMP_IP_LEN = 24,		/* with the router alert option */
	SG_IPV6_EXTENSIONS_MAX = 8,	/* more serve only to evade inspection */
};

enum sg_kind {
	SG_KIND_ARP = 1,
	SG_KIND_OTHER_ETHERTYPE,
	SG_KIND_FRAGMENT,	/* ports are not known yet */
	SG_KIND_TCP,
	SG_KIND_UDP,
	SG_KIND_SCTP,
	SG_KIND_ICMP_QUERY,	/* echo request and similar: icmp_id and icmp_type name the flow */
	SG_KIND_ICMP_REPLY,	/* icmp_query is the type it answers */
	SG_KIND_ICMP_ERROR,	/* quotes a packet: sg_decode_quoted */
	SG_KIND_ICMP_OTHER,
	SG_KIND_NEIGHBOUR,	/* IPv6 neighbour discovery from the link itself */
	SG_KIND_MEMBERSHIP,	/* IGMP, MLD: who is in which multicast group of the link */
	SG_KIND_PROTO,		/* any other transport: known by its number alone */
};

/* How a packet that came in fragments is cut into some again. */
struct sg_pieces {
	__u32 headers;		/* offset of what is cut */
	__u32 longest;		/* bytes of it in each fragment but the last; 0: it came in one frame */
};

struct sg_packet {
	const struct sg_frame *frame;	/* of fragments: the whole that they are */
	__u32 bytes;		/* on the wire; of a whole datagram when it came in fragments */
	__u32 frames;		/* that it came in */
	struct sg_pieces pieces;
	__u32 l3;		/* offset of the IP header */
	__u32 l4;		/* offset of the transport header, or of a fragment's payload */
	__u32 l4_len;		/* bytes of it up to the end of the IP packet */
	__u32 payload_len;	/* TCP: bytes after the header */
	__u32 seq;
	__u32 ack;
	__u32 frag_id;
	__u32 frag_offset;
	__u16 port_id;
	__u16 ethertype;
	__u16 sport;		/* host order */
	__u16 dport;
	__u16 icmp_id;
	__u8 dir;		/* enum seg_dir */
	__u8 kind;		/* enum sg_kind */
	__u8 family;		/* enum seg_family; 0 = not IP */
	__u8 proto;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 icmp_query;
	__u8 hop_limit;
	__u8 frag_more;
	__u8 opens;		/* SCTP: it begins with INIT */
	__u8 extended;		/* fragmented, or with extension headers: the flow map may not match */
	__u8 to_group;		/* by its MAC or by its address */
	__u8 saddr[16];
	__u8 daddr[16];
};

/* A group MAC, also a detour's BCMAC. */
static inline int sg_mac_is_group(const __u8 *mac)
{
	return mac[0] & 1;
}

/* A UCMAC or a TAPMAC. */
static inline int sg_mac_is_detour(const __u8 *mac)
{
	return mac[0] == SEG_UCMAC_0 && mac[1] == SEG_UCMAC_1 && mac[2] == SEG_UCMAC_2 &&
	       (mac[3] == SEG_UCMAC_3 || mac[3] == SEG_TAPMAC_3);
}

static inline int sg_mac_is_copy(const __u8 *mac)
{
	return mac[3] == SEG_TAPMAC_3 && sg_mac_is_detour(mac);
}

/* A destination MAC of a held frame to the workload that was sent to a group. */
static inline int sg_mac_is_bcmac(const __u8 *mac)
{
	return mac[0] == SEG_BCMAC_0 && mac[1] == SEG_BCMAC_1 && mac[2] == SEG_BCMAC_2 &&
	       mac[3] == SEG_BCMAC_3;
}

/* A tag of VLAN 0 carries a priority only. */
static inline int sg_frame_is_tagged(const struct sg_frame *frame)
{
	return frame->has_vlan && (frame->vlan_tci & 0x0fff);
}

/* Whether the frame is a copy of one that was sent on, or an answer to a copy: it is judged and never sent. */
static inline int sg_frame_is_copy(const struct sg_frame *frame)
{
	return frame->len >= SG_ETH_LEN &&
	       (sg_mac_is_copy(frame->data) || sg_mac_is_copy(frame->data + 6));
}

/* A super-frame that the kernel will segment: its IP length fields may be zero. */
static inline int sg_frame_is_gso(const struct sg_frame *frame)
{
	return (frame->vnet[1] & 0x7f) != 0;
}

#endif
