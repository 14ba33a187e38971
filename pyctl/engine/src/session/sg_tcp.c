/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TCP states; see the header. In: session, packet, side. Out: the session's tcp fields. */
#include "session/sg_tcp.h"

/* A segment must open, answer, or abort; and opening excludes closing. Covers null, FIN, PSH, URG
 * and all mixtures of them, SYN+FIN, and the trees. */
int sg_tcp_flags_impossible(__u8 flags)
{
	if (!(flags & (SG_SYN | SG_ACK | SG_RST)))
		return 1;
	return (flags & SG_SYN) && (flags & (SG_FIN | SG_RST));
}

int sg_tcp_is_opening(const struct sg_session *s)
{
	return s->tcp_state == SG_TCP_SYN_SENT || s->tcp_state == SG_TCP_SYN_RECV;
}

int sg_tcp_is_answered(const struct sg_session *s)
{
	return s->seen_sides == 3;
}

void sg_tcp_mark_direction_seen(struct sg_session *s, int side)
{
	s->seen_sides = (__u8)(s->seen_sides | (1 << side));
	if (sg_tcp_is_opening(s) && s->seen_sides & 2)
		s->tcp_state = sg_tcp_is_answered(s) ? SG_TCP_ESTABLISHED : SG_TCP_SYN_RECV;
}

void sg_tcp_start(struct sg_session *s, const struct sg_packet *p)
{
	s->tcp_state = SG_TCP_SYN_SENT;
	if (sg_tcp_opens(p))
		return;
	s->midstream = 1;
	s->data_seen = 1;
	if (!(p->tcp_flags & SG_SYN))
		s->tcp_state = SG_TCP_ESTABLISHED;
	sg_tcp_mark_direction_seen(s, p->dir != s->initiator);
}

static void close_by_fin(struct sg_session *s)
{
	if (s->fin_seen == 3)
		s->tcp_state = s->fin_acked == 3 ? SG_TCP_TIME_WAIT : SG_TCP_LAST_ACK;
	else if (s->fin_seen == 2)
		s->tcp_state = SG_TCP_CLOSE_WAIT;
	else
		s->tcp_state = s->fin_acked & 1 ? SG_TCP_FIN_WAIT2 : SG_TCP_FIN_WAIT1;
}

void sg_tcp_close(struct sg_session *s, int side, __u8 close)
{
	if (close & SEG_CLOSE_RST) {
		s->tcp_state = SG_TCP_CLOSE;
		s->reset_side = (__u8)side;
	}
	if (s->tcp_state == SG_TCP_CLOSE || !(close & SEG_CLOSE_FIN))
		return;
	s->fin_seen = (__u8)(s->fin_seen | (1 << side));
	s->fin_end[side] = 0;
	close_by_fin(s);
}

static __u8 swapped(__u8 sides)
{
	return (__u8)((sides & 1) << 1 | (sides >> 1 & 1));
}

static void swap64(__u64 pair[2])
{
	__u64 first = pair[0];

	pair[0] = pair[1];
	pair[1] = first;
}

void sg_tcp_turn(struct sg_session *s)
{
	__u32 fin_end = s->fin_end[0];

	s->initiator = s->initiator == SEG_DIR_EGRESS ? SEG_DIR_INGRESS : SEG_DIR_EGRESS;
	swap64(s->packets);
	swap64(s->bytes);
	s->fin_end[0] = s->fin_end[1];
	s->fin_end[1] = fin_end;
	s->fin_seen = swapped(s->fin_seen);
	s->fin_acked = swapped(s->fin_acked);
	s->seen_sides = swapped(s->seen_sides);
	s->reset_side = !s->reset_side;
	if (s->fin_seen && s->tcp_state != SG_TCP_CLOSE)
		close_by_fin(s);
}

/* Whether the pretended sender of a blind RST, which its receiver ignored, sends more. */
static int continues_after_rst(const struct sg_session *s, const struct sg_packet *p, int side)
{
	return s->tcp_state == SG_TCP_CLOSE && s->reset_side == side && (p->tcp_flags & SG_ACK) &&
	       !(p->tcp_flags & (SG_SYN | SG_FIN));
}

void sg_tcp_track(struct sg_session *s, const struct sg_packet *p, int side)
{
	int other = !side;

	if (p->tcp_flags & SG_RST) {
		s->tcp_state = SG_TCP_CLOSE;
		s->reset_side = (__u8)side;
		return;
	}
	if (continues_after_rst(s, p, side)) {
		s->tcp_state = SG_TCP_ESTABLISHED;
		s->fin_seen = s->fin_acked = 0;
		s->midstream = 1;
	}
	if (s->tcp_state == SG_TCP_CLOSE)
		return;
	if (p->payload_len)
		s->data_seen = 1;
	if (p->tcp_flags & SG_SYN) {
		if (side == 1 && p->tcp_flags & SG_ACK)
			sg_tcp_mark_direction_seen(s, side);
		return;
	}
	sg_tcp_mark_direction_seen(s, side);
	if (p->tcp_flags & SG_FIN) {
		s->fin_end[side] = p->seq + p->payload_len + 1;
		s->fin_seen = (__u8)(s->fin_seen | (1 << side));
	}
	if ((p->tcp_flags & SG_ACK) && (s->fin_seen & (1 << other)) && s->fin_end[other] &&
	    (__s32)(p->ack - s->fin_end[other]) >= 0)
		s->fin_acked = (__u8)(s->fin_acked | (1 << other));
	if (s->fin_seen)
		close_by_fin(s);
}

__u64 sg_tcp_timeout(const struct sg_session *s)
{
	/* A forged packet may look like the middle of a connection. */
	if (!sg_tcp_is_answered(s) && sg_tcp_is_open(s))
		return SG_TIMEOUT_TCP_OPENING;
	switch (s->tcp_state) {
	case SG_TCP_ESTABLISHED:
		return s->data_seen ? SG_TIMEOUT_TCP_ACTIVE : SG_TIMEOUT_TCP_NO_DATA;
	case SG_TCP_SYN_SENT:
	case SG_TCP_SYN_RECV:
		return SG_TIMEOUT_TCP_OPENING;
	case SG_TCP_LAST_ACK:
		if (s->cached)
			return SG_TIMEOUT_TCP_CLOSED_ENTRY;
		return s->ended ? SG_TIMEOUT_TCP_CLOSED : SG_TIMEOUT_TCP_LAST_ACK;
	case SG_TCP_TIME_WAIT:
		return SG_TIMEOUT_TCP_CLOSED;
	case SG_TCP_CLOSE:
		return SG_TIMEOUT_TCP_RESET;
	default:
		return SG_TIMEOUT_TCP_HALF_CLOSED;
	}
}

int sg_tcp_is_open(const struct sg_session *s)
{
	return s->tcp_state == SG_TCP_ESTABLISHED || s->tcp_state == SG_TCP_FIN_WAIT1 ||
	       s->tcp_state == SG_TCP_FIN_WAIT2 || s->tcp_state == SG_TCP_CLOSE_WAIT;
}
