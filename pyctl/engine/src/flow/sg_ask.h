/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Whose flow a packet is of, who opened it, and what the port's policy says of that. */
#ifndef SG_ASK_H
#define SG_ASK_H

#include "flow/sg_state.h"

/* The key under which p's session is filed. */
void sg_flow_key(const struct sg_packet *p, struct sg_key *key);
/* What the port's policy says of a flow that `initiator` opens. The port has a policy. */
struct sg_answer sg_flow_ask(const struct sg_port *port, const struct sg_key *key, __u8 initiator);
/* Likewise of a flow whose initiator is a guess: where the rules do not allow it that way round, and do the other,
 * *initiator turns. */
struct sg_answer sg_flow_ask_either(const struct sg_port *port, const struct sg_key *key, __u8 *initiator);
/* Who opened a TCP connection of which only the middle is seen; *sure: it is known. */
__u8 sg_flow_guess_initiator(const struct sg_core *core, const struct sg_port *port,
			  const struct sg_key *key, int *sure);
/* s expires, and may go on: who opened it is not guessed then. */
void sg_flow_remember_initiator(struct sg_core *core, const struct sg_session *s);

#endif
