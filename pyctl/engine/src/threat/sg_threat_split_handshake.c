/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Split handshake: a server answers a SYN by one of its own, so that the sides seem to be the other way round. */
#include "session/sg_tcp.h"
#include "threat/sg_threat.h"

int sg_threat_split_handshake(const struct sg_sight *sight)
{
	const struct sg_session *s = sight->session;

	return s && !s->denied && s->initiator != sight->p->dir && sg_tcp_is_opening(s);
}
