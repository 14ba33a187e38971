/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sends; see the header. In: frames, a verdict's actions. Out: struct sg_io, and counts. */
#include "core/sg_output.h"

#include "packet/sg_reject.h"
#include "packet/sg_reset.h"

/* Returns 0, or -errno, which is counted, or 1 for a copy, which is not sent. */
static inline int output(const struct sg_context *c, const struct sg_frame *frame)
{
	int error;

	if (sg_frame_is_copy(frame))
		return 1;
	error = c->core->io.send(c->core->io.ctx, frame);
	if (error)
		sg_count(&c->port->counts, SEG_R_SEND_FAILED, 1, frame->len);
	return error;
}

void sg_output_frame(const struct sg_context *c, const struct sg_frame *frame)
{
	if (!output(c, frame))
		sg_count(&c->port->counts, SEG_R_FROM_ENGINE, 1, frame->len);
}

void sg_output_pieces(const struct sg_context *c, const struct sg_frame *frame, struct sg_pieces pieces)
{
	struct sg_frame piece;
	struct sg_cut cut;

	if (!pieces.longest) {
		sg_output_frame(c, frame);
		return;
	}
	sg_cut_begin(&cut, frame, pieces);
	while (sg_cut_next(&cut, &piece))
		sg_output_frame(c, &piece);
}

static int may_reject(const struct sg_context *c)
{
	const __u64 pace = SG_SECOND / SG_REJECTS_PER_SECOND;
	__u64 due = c->port->reject_ns > c->now_ns ? c->port->reject_ns : c->now_ns;

	if (!sg_may_be_rejected(c->p) || due - c->now_ns >= SG_REJECTS_BURST * pace)
		return 0;
	c->port->reject_ns = due + pace;
	return 1;
}

static void answer(const struct sg_context *c, __u32 (*put)(const struct sg_packet *, __u8 *))
{
	const struct sg_frame *about = c->p->frame;
	__u8 bytes[SG_REJECT_BYTES];
	__u32 length = put(c->p, bytes);
	struct sg_frame frame = {
		.made = 1, .data = bytes, .len = length, .wire_len = length,
		.vlan_tci = about->vlan_tci, .vlan_tpid = about->vlan_tpid, .has_vlan = about->has_vlan,
	};

	if (length)
		output(c, &frame);
}

int sg_output_answers(const struct sg_context *c, __u8 actions)
{
	if (actions & SG_RESET_RECEIVER)
		answer(c, sg_reset_receiver);
	if (actions & SG_RESET_SENDER)
		answer(c, sg_reset_sender);
	if (!(actions & SG_REJECT))
		return 1;
	if (!may_reject(c))
		return 0;
	answer(c, sg_reject);
	return 1;
}
