/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Shares the room of ring, table and flow maps among the ports for which programs open flows (seg_credits), and holds back a
 * workload whose connections nobody takes up. */
#ifndef SG_CREDIT_H
#define SG_CREDIT_H

#include "flow/sg_state.h"

/* Return whether sessions and flow maps have room for what programs may open before the engine takes it in. */
int sg_credit_has_room(const struct sg_core *core);
/* A connection that the workload opened is not proven until both sides have said more than a SYN and a RST: a flood's and a
 * scan's never are. Note that it was opened. */
void sg_credit_take(const struct sg_context *c, const struct sg_session *s);
/* Note if it is proven. */
void sg_credit_prove(struct sg_core *core, struct sg_session *s);
/* Return whether the workload may open one more. If not, its oldest session is looked at first: the kernel may have seen an
 * answer. */
int sg_credit_may_open(const struct sg_context *c);
/* Let programs open for the port up to half of what may wait in the ring, no more than may be unproven, and not so many that
 * it has more entries in the flow maps than are left for others (as sg_table_room() shares the table). */
void sg_credit_give(const struct sg_core *core, __u16 port_id);

#endif
