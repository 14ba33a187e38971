/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Answers queries of a core: counters, events, hits, sessions (api/sg_core.h). */
#include "flow/sg_flow.h"
#include "names/sg_fqdns.h"

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
					       s->created_ns > core->ports[port_id]->sessions.closed_ns))) {
			sg_flow_info(core, s, &out[found]);
			sg_shown_copy(&core->shown, s, out[found++].text);
		}
	}
	*cursor = slot < core->table.used ? slot : 0;
	return found;
}

__u32 sg_core_session_count(const struct sg_core *core)
{
	return core->table.count;
}

/* Fill in the groups, and the first name that is in one. */
static void tell_groups(const struct sg_core *core, const struct sg_told *told, struct sg_name_record *record)
{
	__u32 groups[SG_FQDNS_FOUND], found;

	for (__u32 at = 0; core->node && at < told->length; at += (__u32)strlen(told->text + at) + 1) {
		found = sg_node_groups_of(core->node, told->text + at, groups);
		if (found && !record->group_count)
			strcpy(record->matched, told->text + at);
		for (__u32 i = 0; i < found; i++) {
			__u32 known = 0, shown = record->group_count < SG_NAME_GROUPS ? record->group_count : SG_NAME_GROUPS;

			while (known < shown && record->groups[known] != groups[i])
				known++;
			if (known < shown)
				continue;
			if (shown < SG_NAME_GROUPS)
				record->groups[shown] = groups[i];
			record->group_count++;
		}
	}
}

static void tell_name(const struct sg_core *core, const struct sg_named *named, struct sg_name_record *record)
{
	const struct sg_told *told = sg_told_of(&core->named, named);

	*record = (struct sg_name_record){
		.expires_ns = named->expires_ns, .learnt_ns = named->learnt_ns, .ttl = named->ttl,
		.port_id = named->key.port_id, .family = named->key.family, .resolver_family = told->resolver_family,
		.is_hint = named->is_hint,
		.used = (__u8)sg_peers_live(&core->peers, &core->table, named->key.port_id, named->key.family,
					    named->key.address),
	};
	memcpy(record->address, named->key.address, sizeof(record->address));
	memcpy(record->resolver, told->resolver, sizeof(record->resolver));
	strcpy(record->asked, told->text);
	tell_groups(core, told, record);
}

__u32 sg_core_names(struct sg_core *core, __u16 port_id, struct sg_name_record *out, __u32 max, __u32 *cursor)
{
	__u32 place = *cursor, used = core->named.pool.used, found = 0;

	max = max < LISTED_AT_ONCE ? max : LISTED_AT_ONCE;
	for (int seen = 0; place < used && found < max && seen < WALKED_AT_ONCE; seen++) {
		const struct sg_named *named = sg_named_at(&core->named, ++place);

		if (named->key.port_id && (!port_id || named->key.port_id == port_id))
			tell_name(core, named, &out[found++]);
	}
	*cursor = place < used ? place : 0;
	return found;
}

__u32 sg_core_names_of(struct sg_core *core, const struct sg_name_query *queries, __u32 count,
		       struct sg_name_record *out, __u32 max)
{
	__u32 found = 0;

	for (__u32 i = 0; i < count; i++) {
		struct sg_named_key key = { .port_id = queries[i].port_id, .family = queries[i].family };
		__u32 place;

		memcpy(key.address, queries[i].address, sizeof(key.address));
		for (place = sg_named_first(&core->named, &key); place && found < max; place = sg_named_next(&core->named, place))
			tell_name(core, sg_named_at(&core->named, place), &out[found++]);
	}
	return found;
}

void sg_core_name_counts(const struct sg_core *core, __u16 port_id, struct sg_name_counts *out)
{
	const struct sg_port *port = core->ports[port_id];

	*out = port_id ? (port ? port->names : (struct sg_name_counts){ 0 }) : core->names;
}
