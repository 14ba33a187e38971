/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Decodes a transport header, or ICMP's. */
#ifndef SG_DECODE_L4_H
#define SG_DECODE_L4_H

#include "packet/sg_packet.h"

/* `present` bytes are at p->l4, `total` belong to the packet (more than present
 * only in a first fragment). Fills kind, ports and what belongs to them. */
__u16 sg_decode_transport(struct sg_packet *p, __u32 present, __u32 total);
/* The addresses of flow-bearing ICMP: kind and icmp_* from the 8 bytes at `at`. */
void sg_decode_icmp(struct sg_packet *p, const __u8 *at);
/* Return whether a whole TCP packet's receiver takes its checksum for right. One that is still to be finished holds the
 * pseudo header's sum. */
int sg_tcp_checksum_is_right(const struct sg_packet *p);

#endif
