/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Creates ports when they are first named, and closes them a few sessions at a time. */
#ifndef SG_PORT_H
#define SG_PORT_H

#include "flow/sg_state.h"

struct sg_port *sg_port_new(struct sg_core *core, __u16 port_id);
/* Return the port, created if needed; NULL: no memory. */
static inline struct sg_port *sg_port_of(struct sg_core *core, __u16 port_id)
{
	return core->ports[port_id] ? core->ports[port_id] : sg_port_new(core, port_id);
}
/* Drop policy and fragments at once. Its sessions are not found any more, and end a few at a time. */
void sg_port_close(struct sg_core *core, __u16 port_id, __u64 now_ns);
/* End up to `max` sessions of deleted ports; those whose end event has no room wait. Returns 1 if there are more. */
int sg_port_end_closing(struct sg_core *core, __u32 max, __u64 now_ns);

#endif
