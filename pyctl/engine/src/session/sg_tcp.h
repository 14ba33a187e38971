/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Tracks TCP connection states from outside. It checks no windows, because the engine sees no sequence numbers of a flow
 * that the kernel carries. Of most connections it sees only the SYN; the flow map tells later which sides have sent, and
 * closed. Pure except for the session. */
#ifndef SG_TCP_H
#define SG_TCP_H

#include "packet/sg_packet.h"
#include "session/sg_session.h"

/* The kernel's numbers. */
enum sg_tcp_state {
	SG_TCP_ESTABLISHED = 1, SG_TCP_SYN_SENT = 2, SG_TCP_SYN_RECV = 3, SG_TCP_FIN_WAIT1 = 4,
	SG_TCP_FIN_WAIT2 = 5, SG_TCP_TIME_WAIT = 6, SG_TCP_CLOSE = 7, SG_TCP_CLOSE_WAIT = 8,
	SG_TCP_LAST_ACK = 9,
};

int sg_tcp_flags_impossible(__u8 flags);
/* SYN without ACK opens a connection. */
static inline int sg_tcp_opens(const struct sg_packet *p)
{
	return (p->tcp_flags & (SG_SYN | SG_ACK)) == SG_SYN;
}

/* Set the state by the first packet seen of a connection. */
void sg_tcp_start(struct sg_session *s, const struct sg_packet *p);
/* Update the state by a later packet; side 0 is the initiator's. */
void sg_tcp_track(struct sg_session *s, const struct sg_packet *p, int side);
__u64 sg_tcp_timeout(const struct sg_session *s);
/* Note that a side sent a packet other than the first SYN or a RST, here or in the kernel. */
void sg_tcp_mark_direction_seen(struct sg_session *s, int side);
/* Note that the kernel let a side's FIN or RST pass (bits of enum seg_close). */
void sg_tcp_close(struct sg_session *s, int side, __u8 close);
/* Swap the sides: the initiator was guessed wrong. */
void sg_tcp_turn(struct sg_session *s);
int sg_tcp_is_opening(const struct sg_session *s);
/* Whether the initiator got an answer and continued. */
int sg_tcp_is_answered(const struct sg_session *s);
/* Whether the handshake is done and not both sides have closed. */
int sg_tcp_is_open(const struct sg_session *s);
static inline int sg_tcp_is_over(const struct sg_session *s)
{
	return s->tcp_state == SG_TCP_TIME_WAIT || s->tcp_state == SG_TCP_CLOSE;
}

#endif
