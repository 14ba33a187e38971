/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Ports; see the header. In: port ids. Out: port states, and session ends. */
#include "core/sg_port.h"

#include <errno.h>
#include <stdlib.h>

#include "flow/sg_flow.h"
#include "learn/sg_learn_table.h"
#include "verdict/sg_renewal.h"

#define CLOSING_NS (60 * SG_SECOND)	/* how long end events of a deleted port wait for room */

struct sg_port *sg_port_new(struct sg_core *core, __u16 port_id)
{
	return core->ports[port_id] = calloc(1, sizeof(struct sg_port));
}

void sg_port_close(struct sg_core *core, __u16 port_id, __u64 now_ns)
{
	struct sg_port *port = core->ports[port_id];
	struct sg_datagram *d = core->frags.oldest, *next;

	for (; d; d = next) {
		next = d->next;
		if (d->key.port_id == port_id)
			sg_frag_forget(&core->frags, d, &port->frag_memory);
	}
	free(port->rules);
	free(port->listeners);
	port->rules = NULL;
	port->listeners = NULL;
	memset(port->counts.of, 0, sizeof(port->counts.of));
	memset(&port->queries, 0, sizeof(port->queries));
	memset(&port->renewal, 0, sizeof(port->renewal));
	memset(&port->names, 0, sizeof(port->names));
	port->guarded_ns = port->sampled_ns = 0;
	port->cache = (struct sg_cache_stats){ .entries = port->cache.entries };
	sg_table_close(&core->table, &port->sessions, now_ns);
	if (port->closing)
		return;
	port->closing = 1;
	port->closing_next = core->closing;
	core->closing = port_id;
}

/* The first closing port has no sessions from before its deletion any more: free it. */
static void finish_closing(struct sg_core *core)
{
	__u16 port_id = core->closing;
	struct sg_port *port = core->ports[port_id];

	core->closing = port->closing_next;
	port->closing = 0;
	/* The id may be in use again. */
	if (port->rules || port->sessions.count)
		return;
	free(port->listeners);
	free(port);
	core->ports[port_id] = NULL;
}

int sg_port_end_closing(struct sg_core *core, __u32 max, __u64 now_ns)
{
	while (core->closing) {
		struct sg_port *port = core->ports[core->closing];
		struct sg_session *s = sg_table_slot(&core->table, port->sessions.closing.tail);

		if (!s) {
			finish_closing(core);
			continue;
		}
		if (!max--)
			return 1;
		if (!sg_flow_may_end(core, s) && now_ns < port->sessions.closed_ns + CLOSING_NS)
			return 0;
		sg_flow_end(core, s);
	}
	return 0;
}

int sg_core_listeners_set(struct sg_core *core, __u16 port_id, const __u16 *ports, __u32 count)
{
	struct sg_port *port = port_id ? sg_port_of(core, port_id) : NULL;
	__u8 *bits = NULL;

	if (!port)
		return port_id ? -ENOMEM : -EINVAL;
	if (count) {
		bits = calloc(65536 / 8, 1);
		if (!bits)
			return -ENOMEM;
		for (__u32 i = 0; i < count; i++)
			bits[ports[i] / 8] = (__u8)(bits[ports[i] / 8] | (1 << (ports[i] % 8)));
	}
	free(port->listeners);
	port->listeners = bits;
	return 0;
}

void sg_core_port_delete(struct sg_core *core, __u16 port_id)
{
	if (core->node)
		sg_node_port_delete(core->node, port_id);
	core->deleted[port_id] = 1;
	sg_renewal_forget(core, port_id);
	if (port_id && core->ports[port_id])
		sg_learn_forget(core, core->ports[port_id]);
	if (port_id && core->ports[port_id])
		sg_port_close(core, port_id, core->now_ns);
}
