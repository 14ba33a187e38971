/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Holds fragments until their datagram is complete, to be joined and judged as a whole (session/sg_join.h). A datagram that stays incomplete, overlaps or hides its headers is dropped as a unit. */
#ifndef SG_FRAG_H
#define SG_FRAG_H

#include "base/sg_bytes.h"
#include "packet/sg_packet.h"

enum sg_frag_limit {
	SG_FRAG_BUCKETS = 1024,
	SG_FRAG_BYTES = 8 << 20,	/* in all; a port may hold as much as is then free */
	SG_FRAG_PORT_BYTES = 2 << 20,	/* of one port; a peer may hold as much as is then free of it */
	SG_FRAG_PEERS = 4096,		/* counters by hash; peers that share one have less room */
	SG_FRAG_FRAMES = 256,		/* of one datagram */
};

struct sg_held {
	struct sg_held *next;
	struct sg_frame frame;	/* its data lies in bytes */
	__u32 offset;
	__u32 length;
	__u32 headers;		/* bytes before that */
	__u8 bytes[];
};

struct sg_frag_key {
	__u16 port_id;
	__u8 dir;
	__u8 family;
	__u32 id;
	__u8 proto;		/* IPv4 only: in IPv6 only the first fragment has it */
	__u8 pad[7];
	__u8 saddr[16];
	__u8 daddr[16];
};
SEG_ABI_SIZE(sg_frag_key, 48);

struct sg_datagram {
	struct sg_frag_key key;
	struct sg_datagram *hash_next;
	struct sg_datagram *next;	/* by age */
	struct sg_datagram *prev;
	struct sg_held *head;		/* in the order of arrival */
	struct sg_held *tail;
	struct sg_held *first;		/* the one with the headers */
	__u64 since_ns;
	__u32 total;			/* payload bytes; 0 = the last fragment is not here yet */
	__u32 have;
	__u32 frames;
	__u32 memory;
	__u32 peer;			/* index of its counter */
	__u16 spoiled;			/* enum seg_reason: later fragments are dropped for it too */
};

struct sg_frags {
	const struct sg_hash_key *hash_key;
	struct sg_datagram *buckets[SG_FRAG_BUCKETS];
	struct sg_datagram *oldest;
	struct sg_datagram *newest;
	__u32 memory;
	__u32 peers[SG_FRAG_PEERS];	/* of it, by port and peer */
};

/* Add p (SG_KIND_FRAGMENT). *port_memory is the port's share.
 * Returns SEG_R_NONE: held, and *out is NULL, or the datagram now complete; else why p and, where
 * *out is set, everything held of it must go. Give *out to sg_frag_release after that. */
__u16 sg_frag_add(struct sg_frags *frags, const struct sg_packet *p, __u32 *port_memory, __u64 now_ns,
		  struct sg_datagram **out);
/* Free the frames held. A spoiled datagram stays known until its time is over. */
void sg_frag_release(struct sg_frags *frags, struct sg_datagram *d, __u32 *port_memory);
/* Free the datagram and its frames. */
void sg_frag_forget(struct sg_frags *frags, struct sg_datagram *d, __u32 *port_memory);
/* The oldest datagram whose time is over, or NULL. */
struct sg_datagram *sg_frag_due(const struct sg_frags *frags, __u64 now_ns);

#endif
