/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The handshake that a client of QUIC sends in its Initial packets (RFC 9000, 9001, 9369): its CRYPTO frames in any order, over
 * several packets and datagrams. Policy-free, no I/O.
 *
 * Whoever sends may begin another connection in the same flow, with another name: each of its Initial packets is read, as
 * long as the flow lives. Of two versions of a byte, the server may have got either. */
#ifndef SG_QUIC_H
#define SG_QUIC_H

#include "api/sg_core.h"
#include "condition/sg_facts.h"
#include "quic/sg_quic_keys.h"

enum sg_quic_limit {
	SG_QUIC_HELLO = 16384,			/* of a handshake's first bytes */
	SG_QUIC_BYTES = 32 << 20,		/* of handshakes in all; a port may have as much as is then free */
	SG_QUIC_DATAGRAM = 65536,
};

enum sg_quic_say {
	SG_QUIC_NOTHING = 0,	/* there is no Initial packet in it */
	SG_QUIC_OLD,		/* it says nothing new */
	SG_QUIC_NEW,		/* the handshake has more bytes than before, or begins anew */
	SG_QUIC_HIDES,		/* it cannot be read, or may be read in several ways */
};

struct sg_quic;

struct sg_quics {
	struct sg_quic_crypto *crypto;	/* NULL: there is none, and what is of QUIC cannot be read */
	struct sg_quic **of;		/* by slot of the session */
	__u64 *of_port;
	__u64 bytes;
	__u8 plain[SG_QUIC_DATAGRAM];
};

/* 0 or -ENOMEM. `sessions` is the highest slot. */
int sg_quics_init(struct sg_quics *quics, __u32 sessions);
void sg_quics_free(struct sg_quics *quics);
/* Return the flow's handshake, made if needed; NULL: no memory. */
struct sg_quic *sg_quic_get(struct sg_quics *quics, __u32 slot, __u16 port_id);
void sg_quic_end(struct sg_quics *quics, __u32 slot, __u16 port_id);
/* Read a datagram of the client. */
enum sg_quic_say sg_quic_client(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, const __u8 *at, __u32 len);
/* Read the frames of an Initial packet. Others than it may have hide what follows. */
enum sg_quic_say sg_quic_frames(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, const __u8 *at, __u32 len);
/* Note what a datagram of the server shows. Returns whether it is none of QUIC. */
int sg_quic_server(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, const __u8 *at, __u32 len);
/* Tell what the handshake says, as far as it came. */
void sg_quic_facts(const struct sg_quic *quic, struct sg_facts *facts);

#endif
