/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Frames that waited; see the header. In: a session. Out: frames, in the order in which they came. */
#include "core/sg_waiting.h"

#include "core/sg_output.h"
#include "flow/sg_flow.h"
#include "packet/sg_decode.h"

int sg_waiting_packet(struct sg_core *core, const struct sg_session *s, struct sg_frame *frame, struct sg_packet *p)
{
	const struct sg_payload *look = sg_look_of(&core->looks, s);
	const struct sg_waiting *w = look ? sg_look_waiting(look, 3) : NULL;

	if (!w)
		return 0;
	*frame = sg_look_frame(&core->looks, look, w);
	return !sg_decode_link(frame, p) && !sg_decode_network(p);
}

void sg_waiting_expected(const struct sg_core *core, const struct sg_session *s, struct sg_packet *p)
{
	const struct sg_payload *look = sg_look_of(&core->looks, s);

	if (look)
		p->seq = sg_look_expected(look, p->dir != s->initiator, p->seq);
}

void sg_waiting_send(const struct sg_context *c, struct sg_session *s, __u8 actions)
{
	__u8 sides = (__u8)((actions & SG_SEND_FIRST ? 1 : 0) | (actions & SG_SEND_SECOND ? 2 : 0));
	struct sg_looks *looks = &c->core->looks;
	struct sg_payload *look = sg_look_of(looks, s);
	const struct sg_waiting *w;
	struct sg_frame frame;

	if (!look)
		return;
	while ((w = sg_look_ready(look, sides))) {
		frame = sg_look_frame(looks, look, w);
		sg_output_pieces(c, &frame, w->pieces);
		sg_flow_count(s, w->side, 1, w->frame.len);
		sg_look_release(looks, look, sides, &c->port->held);
	}
	if (s->look == SG_LOOK_OVER)
		sg_look_end(looks, s);
}

void sg_waiting_drop(const struct sg_context *c, struct sg_session *s, struct sg_packet *p)
{
	struct sg_looks *looks = &c->core->looks;
	struct sg_payload *look = sg_look_of(looks, s);
	const struct sg_waiting *w;

	if (!look)
		return;
	while ((w = sg_look_waiting(look, 3))) {
		p->frames++;
		p->bytes += w->frame.len;
		sg_look_release(looks, look, 3, &c->port->held);
	}
	sg_look_end(looks, s);
}
