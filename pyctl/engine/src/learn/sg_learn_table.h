/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Puts what an answer tells into the table of names, and in force. */
#ifndef SG_LEARN_TABLE_H
#define SG_LEARN_TABLE_H

#include "flow/sg_state.h"

#define SG_NAMED_GRACE_NS (120 * SG_SECOND)	/* after the TTL */

/* Learn the addresses of an answer that was asked for, on this flow. */
void sg_learn_answer(const struct sg_context *c, const struct sg_session *s, const __u8 *message, __u32 length,
		     const struct sg_dns_question *question);
/* Before a packet that may open a flow is judged: learn what other workers know of whom it goes to. */
void sg_learn_ask_others(const struct sg_context *c);
/* Look at some addresses whose time may be over. */
void sg_learn_sweep(struct sg_core *core, __u64 now_ns);
/* Forget what the port has learnt. */
void sg_learn_forget(struct sg_core *core, struct sg_port *port);

#endif
