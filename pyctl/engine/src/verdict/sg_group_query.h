/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Lets answers to group queries (DHCP, SSDP, mDNS, broadcast ping) pass, which come from addresses that no flow names. Each
 * port keeps its last queries, sent and received; an answer counts for its query's session, and opens nothing. */
#ifndef SG_GROUP_QUERY_H
#define SG_GROUP_QUERY_H

#include "flow/sg_state.h"

#define SG_TIMEOUT_GROUP_QUERY (10 * SG_SECOND)	/* since the last query */

/* Note the packet, which passed and belongs to s, if it is a group query; other workers may get its answers. */
void sg_group_query_note(const struct sg_context *c, const struct sg_session *s);
/* Return the session of the query that the packet answers, and count the packet; NULL: it answers none. Of another worker's
 * query it is one that nobody keeps, and the answer counts for the port alone. */
const struct sg_session *sg_group_query_answered(const struct sg_context *c);

#endif
