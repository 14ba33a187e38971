/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sends frames that pass, and answers to those that do not. Each port rejects at a bounded rate. */
#ifndef SG_OUTPUT_H
#define SG_OUTPUT_H

#include "flow/sg_state.h"

enum sg_reject_limit {
	SG_REJECTS_PER_SECOND = 500,	/* of one port */
	SG_REJECTS_BURST = 100,
};

/* Send a frame that passes, and count it. A copy ends here. */
void sg_output_frame(const struct sg_context *c, const struct sg_frame *frame);
/* Send it in pieces, if it came in some, which overwrites its bytes. */
void sg_output_pieces(const struct sg_context *c, const struct sg_frame *frame, struct sg_pieces pieces);
/* Answer the packet: enum sg_action, bits. Returns 0 if it was to be rejected and was not: nobody may be told, or the port
 * has sent enough for now. */
int sg_output_answers(const struct sg_context *c, __u8 actions);

#endif
