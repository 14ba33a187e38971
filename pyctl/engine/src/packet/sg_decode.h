/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The decoder: a frame in, a struct sg_packet or a reason (enum seg_reason) out.
 * Length check, then reason and return, only then the pointer. It never looks at a checksum:
 * with PACKET_VNET_HDR they may be partial. */
#ifndef SG_DECODE_H
#define SG_DECODE_H

#include "packet/sg_packet.h"

/* MACs to port and direction. SEG_R_NONE, SEG_R_MALFORMED or SEG_R_DETOUR_MACS. */
__u16 sg_decode_link(const struct sg_frame *frame, struct sg_packet *p);
/* Decode the IP header and what follows it, after sg_decode_link. */
__u16 sg_decode_network(struct sg_packet *p);
/* Return SEG_R_CSUM_PLACE if a device that finishes the checksum would write over bytes that the verdict depends on, else
 * SEG_R_NONE. As seg_csum.h, for frames of a datapath without it. */
__u16 sg_decode_csum(const struct sg_packet *p);
/* The transport header of a first fragment (p as decoded from it): `total` is the length of the
 * whole datagram's payload. Needs all headers in that fragment, else SEG_R_FRAGMENT_TINY. */
__u16 sg_decode_reassembled(struct sg_packet *p, __u32 total);
/* The packet an ICMP error quotes, seen in the direction in which it travelled once.
 * 0, or -1 where it names no flow. */
int sg_decode_quoted(const struct sg_packet *p, struct sg_packet *inner);

#endif
