/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges datagram flows whose names are asked for. */
#ifndef SG_JUDGE_QUIC_H
#define SG_JUDGE_QUIC_H

#include "flow/sg_state.h"

/* Read the datagram that opens a flow, of which so much was seen. Sets what it tells. */
void sg_judge_quic_opening(const struct sg_context *c, struct sg_seen *seen, struct sg_facts *facts);
/* Let the session that was opened have what was read. With `watched`, it stays with the engine, because another packet of
 * it may show another name. */
void sg_judge_quic_opened(const struct sg_context *c, struct sg_session *s, int watched);
/* Judge a packet of such a session. */
struct sg_verdict sg_judge_quic(const struct sg_context *c, struct sg_session *s);

#endif
