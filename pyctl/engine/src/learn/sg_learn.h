/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Learns from answers of DNS which names the addresses of peers have, for the port that has asked alone.
 *
 * An answer counts if the port waits for it (sg_questions.h), and the resolver's flow passes by the policy, not because the
 * mode only records. All that it teaches is in force before it is sent on: the table, the programs' class of each
 * address, and denials that were held of it.
 * A time that is over takes an address out of its groups only when no flow between port and address lives; flows that
 * were allowed go on in any case. */
#ifndef SG_LEARN_H
#define SG_LEARN_H

#include "flow/sg_state.h"

/* Note whether the session asks a resolver at another port than DNS's: then it is never the kernel's. */
void sg_learn_opening(const struct sg_context *c, struct sg_session *s);
/* Take a datagram in that will be sent on. */
void sg_learn_datagram(const struct sg_context *c, struct sg_session *s);
/* Take a segment of a connection in. Returns 1 if it must not be sent on: bytes before it are missing. */
int sg_learn_segment(const struct sg_context *c, struct sg_session *s);

#endif
