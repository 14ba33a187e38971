/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Ports: made when they are first named, and closed a few sessions at a time. */
#ifndef SG_PORT_H
#define SG_PORT_H

#include "flow/sg_state.h"

struct sg_port *sg_port_new(struct sg_core *core, __u16 port_id);
/* NULL: no memory. */
static inline struct sg_port *sg_port_of(struct sg_core *core, __u16 port_id)
{
	return core->ports[port_id] ? core->ports[port_id] : sg_port_new(core, port_id);
}
/* Policy and fragments go at once, and nothing is found of its sessions any more; they end a few at a time. */
void sg_port_close(struct sg_core *core, __u16 port_id, __u64 now_ns);
/* End up to `max` sessions of ports that were deleted; those whose end cannot be told yet wait. 1: there are more. */
int sg_port_end_closing(struct sg_core *core, __u32 max, __u64 now_ns);

#endif
