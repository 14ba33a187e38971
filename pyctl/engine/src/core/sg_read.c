/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Answers queries of a core: counters, events, hits, sessions (api/sg_core.h). */
#include "flow/sg_flow.h"

enum { WALKED_AT_ONCE = 4096, LISTED_AT_ONCE = 256 };	/* each that is listed may cost two system calls */

void sg_core_counters(const struct sg_core *core, __u16 port_id, struct sg_reason_count *out)
{
	const struct sg_port *port = core->ports[port_id];

	memset(out, 0, sizeof(*out) * SEG_R_COUNT);
	if (port)
		memcpy(out, port->counts.of, sizeof(port->counts.of));
}

void sg_core_cache_stats(const struct sg_core *core, __u16 port_id, struct sg_cache_stats *out)
{
	const struct sg_port *port = core->ports[port_id];

	memset(out, 0, sizeof(*out));
	if (port)
		*out = port_id ? port->cache : core->cache;
}

__u32 sg_core_events(struct sg_core *core, __u64 epoch, __u64 ack, __u64 after, struct sg_event *out,
		     __u32 max, struct sg_event_page *page)
{
	if (epoch != core->report.events.log->epoch)
		ack = after = 0;
	sg_event_acknowledge(&core->report.events, ack);
	return sg_event_read(&core->report.events, after, out, max, page);
}

void sg_core_events_lost(const struct sg_core *core, struct sg_event_page *page)
{
	page->epoch = core->report.events.log->epoch;
	page->lost_drops = core->report.events.log->lost_drops;
	page->lost_ends = core->report.events.log->lost_ends;
}

__u32 sg_core_hits(const struct sg_core *core, __u64 after, struct sg_hit *out, __u32 max,
		   struct sg_hit_page *page)
{
	return sg_hits_read(&core->report.hits, after, out, max, page);
}

__u32 sg_core_sessions(struct sg_core *core, __u16 port_id, struct sg_session_info *out, __u32 max, __u32 *cursor)
{
	__u32 slot = *cursor, found = 0;

	max = max < LISTED_AT_ONCE ? max : LISTED_AT_ONCE;
	for (int seen = 0; slot < core->table.used && found < max && seen < WALKED_AT_ONCE; seen++) {
		struct sg_session *s = sg_table_slot(&core->table, ++slot);

		if (s->in_use && (!port_id || (s->key.port_id == port_id &&
					       s->created_ns > core->ports[port_id]->sessions.closed_ns)))
			sg_flow_info(core, s, &out[found++]);
	}
	*cursor = slot < core->table.used ? slot : 0;
	return found;
}

__u32 sg_core_session_count(const struct sg_core *core)
{
	return core->table.count;
}

__u32 sg_core_names(struct sg_core *core, __u16 port_id, struct sg_name_record *out, __u32 max, __u32 *cursor)
{
	(void)core, (void)port_id, (void)out, (void)max;
	*cursor = 0;
	return 0;
}

void sg_core_name_counts(const struct sg_core *core, __u16 port_id, struct sg_name_counts *out)
{
	(void)core, (void)port_id;
	memset(out, 0, sizeof(*out));
}
