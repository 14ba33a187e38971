/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Verdicts for connections of HTTP of which every request is judged. */
#ifndef SG_JUDGE_HTTP_H
#define SG_JUDGE_HTTP_H

#include "flow/sg_state.h"

/* Return whether a rule asks for requests of the connection, which seems to be HTTP/1. */
int sg_judge_http_is_asked(const struct sg_context *c, const struct sg_session *s);
/* Judge the requests that came so far, and the packet, which is among the looked at bytes, but does not wait. From now on
 * sg_judge_http() judges the connection (SG_LOOK_REQUESTS). */
struct sg_verdict sg_judge_http_begin(const struct sg_context *c, struct sg_session *s, struct sg_payload *look);
/* Judge a packet of such a connection that has no SYN and no RST. */
struct sg_verdict sg_judge_http(const struct sg_context *c, struct sg_session *s, struct sg_payload *look);
/* Return the verdict when frames of it have waited for too long. */
struct sg_verdict sg_judge_http_overdue(const struct sg_context *c, struct sg_session *s);

#endif
