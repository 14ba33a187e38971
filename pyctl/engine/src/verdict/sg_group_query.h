/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Questions to groups (DHCP, SSDP, mDNS, an echo request to all), whose answers come from addresses that no
 * flow names, at the end that asked and at those that heard it. Each port remembers its last ones, asked and
 * heard; an answer counts as its question's, and opens nothing. */
#ifndef SG_GROUP_QUERY_H
#define SG_GROUP_QUERY_H

#include "flow/sg_state.h"

#define SG_TIMEOUT_GROUP_QUERY (10 * SG_SECOND)	/* since it was asked last */

/* p has passed, and belongs to s: it may be a question. */
void sg_group_query_note(struct sg_port *port, const struct sg_session *s, const struct sg_packet *p);
/* The session of the question that the packet answers, with it counted; NULL: it answers none. */
const struct sg_session *sg_group_query_answered(const struct sg_context *c);

#endif
