/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What rules ask of connections of HTTP/2, whose requests may be several applications. */
#ifndef SG_JUDGE_HTTP2_H
#define SG_JUDGE_HTTP2_H

#include "flow/sg_state.h"

/* Return whether a rule asks for requests of the connection, which seems to be HTTP/2. */
int sg_judge_http2_is_asked(const struct sg_context *c, const struct sg_session *s);
/* Ask about one whose requests cannot be read, because the library is not there; events tell why. */
struct sg_answer sg_judge_http2_unread(const struct sg_context *c, const struct sg_session *s);

#endif
