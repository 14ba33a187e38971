/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Payload that waits; see the header. In: packets, sessions. Out: whether it waits, actions. */
#include "verdict/sg_held.h"

int sg_is_recorded(const struct sg_context *c)
{
	return sg_frame_is_copy(c->p->frame) || sg_policy_records_only(c->port->rules);
}

int sg_is_held(const struct sg_context *c, const struct sg_session *s)
{
	return s->waits && !sg_is_recorded(c);
}

__u8 sg_block_session(struct sg_session *s)
{
	s->blocked = 1;
	s->resets = 1;
	return SG_RESET_RECEIVER | SG_RESET_SENDER | SG_DROP_WAITING;
}
