/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Puts the fragments of a datagram together as one packet, and cuts such a packet into fragments again. Those all have the
 * header of the first that came, so that of one datagram all fragments share their fate on the way, and none is left behind
 * for one of another datagram. Policy-free, no I/O. */
#ifndef SG_JOIN_H
#define SG_JOIN_H

#include "session/sg_frag.h"

/* The packet that a complete datagram is. */
struct sg_joined {
	struct sg_frame frame;		/* its data lies in bytes; of IPv6 with a fragment header that splits nothing */
	__u8 bytes[SG_ETH_LEN + SG_IPV6_LEN + SG_IPV6_FRAGMENT_LEN + 65535];
};

/* Where the cutting of a packet stands. */
struct sg_cut {
	struct sg_frame frame;		/* of the packet */
	__u8 *bytes;
	struct sg_pieces pieces;
	__u32 done;			/* bytes behind the headers */
};

/* Join a complete datagram and decode it to p. Returns SEG_R_NONE, or why it is none. */
__u16 sg_join(const struct sg_datagram *d, struct sg_joined *joined, struct sg_packet *p);
/* Begin to cut the packet in this frame, whose bytes may change. */
void sg_cut_begin(struct sg_cut *cut, const struct sg_frame *frame, struct sg_pieces pieces);
/* Return 1 with the next fragment, which lies in the packet's bytes, in place of those before it; 0: that was the last. */
int sg_cut_next(struct sg_cut *cut, struct sg_frame *piece);

#endif
