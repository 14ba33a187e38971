/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Shares what a port has learnt among the engines (seg_names). A resolver's answer and a flow to an address that it tells are
 * packets of different workers; the answer is sent on after it is shared, so the flow finds it.
 *
 * A worker copies what it finds into its own table, and asks anew at each new flow: another one may have learnt more. Names in
 * a group alone are shared, and of a worker's part of the room a port may have SG_NAMED_SHARE times as much as is then free:
 * so what a workload looks up besides takes no room of others', nor of its own names. */
#ifndef SG_LEARN_SHARED_H
#define SG_LEARN_SHARED_H

#include "flow/sg_state.h"

/* Let the other workers have an address that the port has learnt, or learnt anew. Returns 0: there is no room. */
int sg_learn_share(struct sg_core *core, struct sg_named_row *row, struct sg_named *named);
/* Take it back, unless it was learnt anew since. */
void sg_learn_unshare(struct sg_core *core, struct sg_named_row *row, struct sg_named *named);
/* Read what a worker has shared of an address in this slot. Returns 0: nothing. */
int sg_learn_shared(const struct sg_core *core, const struct sg_named_key *named, __u8 slot, struct seg_name *name);

static inline int sg_learn_is_alone(const struct sg_core *core)
{
	return core->config.workers < 2;
}

#endif
