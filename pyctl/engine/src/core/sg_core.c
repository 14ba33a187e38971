/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Creates, configures and frees a core (api/sg_core.h). Frames and timers: sg_pipeline.c; policies: sg_policy_swap.c;
 * sessions of a former engine: sg_adopt.c; queries: sg_read.c. */
#include <stdlib.h>

#include "core/sg_port.h"
#include "flow/sg_cache.h"

struct sg_core *sg_core_new(const struct sg_io *io, const struct sg_core_config *config)
{
	struct sg_core *core = calloc(1, sizeof(*core));

	if (!core)
		return NULL;
	core->io = *io;
	core->config = *config;
	core->cache_limit = ~0U;
	core->report.hash_key = core->frags.hash_key = core->threats.hash_key = &core->table.hash_key;
	if (!sg_port_of(core, 0) || sg_event_init(&core->report.events, config->epoch) ||
	    sg_hits_init(&core->report.hits, config->epoch) || sg_table_init(&core->table, config->max_sessions) ||
	    sg_looks_init(&core->looks, config->max_sessions) || sg_scans_init(&core->scans, config->max_sessions) ||
	    sg_quics_init(&core->quics, config->max_sessions) ||
	    sg_shown_init(&core->shown, config->max_sessions) ||
	    sg_peers_init(&core->peers, &core->table.hash_key, config->max_sessions) ||
	    sg_named_init(&core->named, &core->table.hash_key) ||
	    sg_questions_init(&core->questions, &core->table.hash_key) ||
	    sg_dns_streams_init(&core->dns_streams, &core->table.hash_key)) {
		sg_core_free(core);
		return NULL;
	}
	return core;
}

void sg_core_free(struct sg_core *core)
{
	if (!core)
		return;
	for (__u32 id = 0; id < SEG_PORT_IDS; id++)
		if (id && core->ports[id])
			sg_port_close(core, (__u16)id, core->now_ns);
	while (sg_port_end_closing(core, ~0U, ~0ULL))
		;
	free(core->ports[0]);
	sg_node_free(core->node);
	sg_alarm_flush(&core->report.alarms, &core->report.events);
	sg_event_flush(&core->report.events);
	sg_table_free(&core->table);
	sg_looks_free(&core->looks);
	sg_scans_free(&core->scans);
	sg_sensors_leave(core->sensors);
	sg_quics_free(&core->quics);
	sg_shown_free(&core->shown);
	sg_peers_free(&core->peers);
	sg_named_free(&core->named);
	sg_questions_free(&core->questions);
	sg_dns_streams_free(&core->dns_streams);
	sg_event_free(&core->report.events);
	sg_hits_free(&core->report.hits);
	free(core);
}

void sg_core_cache_limit(struct sg_core *core, __u32 entries)
{
	core->cache_limit = entries;
}

void sg_core_cache_drop(struct sg_core *core, __u32 max, __u32 *cursor)
{
	__u32 slot = *cursor;

	for (; slot < core->table.used && max; max--) {
		struct sg_session *s = sg_table_slot(&core->table, ++slot);

		if (s->in_use)
			sg_cache_evict(core, s);
	}
	*cursor = slot < core->table.used ? slot : 0;
}
