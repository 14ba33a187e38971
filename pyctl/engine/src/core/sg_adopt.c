/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Takes over sessions, events, hits, names and questions from the memory of a dead engine.
 * In: that memory. Out: the session table, built anew. I/O: the flow map, for the entries of those sessions.
 * The former engine may have died in the middle of any write: only the sessions' own fields are taken over, and those
 * used as an index or a pointer are checked; lists, chains and timers are made again. */
#include <errno.h>

#include "core/sg_port.h"
#include "flow/sg_flow.h"

#define MAGIC 0x53474c4f57533031ULL
#ifndef SG_LAYOUT
#define SG_LAYOUT 0ULL	/* the build gives a hash of the fields of this memory (build_ffi.py) */
#endif

static int is_whole(const struct sg_session *s, __u64 now_ns)
{
	const __u8 both = (1 << SEG_DIR_EGRESS) | (1 << SEG_DIR_INGRESS);

	return s->in_use == 1 && s->key.port_id &&
	       (s->initiator == SEG_DIR_EGRESS || s->initiator == SEG_DIR_INGRESS) &&
	       (s->key.family == SEG_FAMILY_IPV4 || s->key.family == SEG_FAMILY_IPV6) &&
	       s->look <= SG_LOOK_REQUESTS && s->by_peer <= 1 && s->dns <= 1 && s->app <= SG_APP_UNKNOWN && s->proof <= SG_APP_CERTAIN &&
	       !(s->cached & ~both) && s->reason < SEG_R_COUNT && s->violation_reason < SEG_R_COUNT &&
	       s->created_ns && s->created_ns <= now_ns && s->last_seen_ns >= s->created_ns;
}

/* 1 when it is in the table now. */
static int reinsert(struct sg_core *core, struct sg_session *s, __u32 slot, __u64 now_ns)
{
	struct sg_port *port;

	s->denied = !!s->denied;
	s->service = s->service && s->denied;
	if (!is_whole(s, now_ns) || sg_table_find(&core->table, &s->key))
		return 0;
	port = sg_port_of(core, s->key.port_id);
	if (!port)
		return 0;
	/* The kernel's last packet may be later than the engine's last round. */
	if (s->last_seen_ns > now_ns)
		s->last_seen_ns = now_ns;
	s->retry_ns = s->put_ns = 0;
	sg_table_insert(&core->table, s, slot, &port->sessions);
	port->cache.entries += !!s->cached;
	core->cache.entries += !!s->cached;
	if (s->by_peer)
		sg_peers_add(&core->peers, s);
	sg_flow_resume(core, s);
	return 1;
}

/* The addresses of a port; NULL: no memory. */
static struct sg_named_row *named_row(void *core, __u16 port_id)
{
	struct sg_port *port = sg_port_of(core, port_id);

	return port ? &port->named : NULL;
}

/* The questions of a flow's port; NULL: the flow did not come over. */
static struct sg_row *question_row(void *context, __u64 flow)
{
	struct sg_core *core = context;
	const struct sg_session *s = sg_table_by_handle(&core->table, flow);

	return s && s->dns ? &core->ports[s->key.port_id]->questions : NULL;
}

int sg_core_adopt(struct sg_core *core, void *memory, __u64 bytes, int keep, __u64 now_ns)
{
	struct sg_store *store = memory;
	struct sg_question_store *questions = (void *)((__u8 *)memory + SG_STORE_SESSIONS - SG_STORE_QUESTIONS);
	__u32 used = 0;
	int adopted = 0;

	if (core->table.used)
		return -EBUSY;
	if (bytes < SG_STORE_SESSIONS + (__u64)core->table.max * sizeof(struct sg_session))
		return -EINVAL;
	core->now_ns = now_ns;
	keep = keep && store->magic == MAGIC && store->session_bytes == sizeof(struct sg_session) &&
	       store->layout == SG_LAYOUT;
	if (keep) {
		used = store->used < core->table.max ? store->used : core->table.max;
		core->table.next_id = store->next_id;
	}
	*store = (struct sg_store){
		.magic = MAGIC, .session_bytes = sizeof(struct sg_session), .layout = SG_LAYOUT,
		.next_id = core->table.next_id,
	};
	sg_table_place(&core->table, store);
	sg_event_place(&core->report.events, (void *)((__u8 *)memory + SG_STORE_HEAD), keep);
	sg_hits_place(&core->report.hits, &core->table.hash_key,
		      (void *)((__u8 *)memory + SG_STORE_HEAD + SG_STORE_EVENTS), keep, now_ns);
	sg_named_place(&core->named, (void *)((__u8 *)memory + SG_STORE_HEAD + SG_STORE_EVENTS + SG_STORE_HITS), keep,
		       named_row, core, now_ns);
	while (core->table.used < used) {
		__u32 slot = sg_table_grow(&core->table);
		struct sg_session *s = sg_table_slot(&core->table, slot);

		if (reinsert(core, s, slot, now_ns))
			adopted++;
		else
			sg_table_give_back(&core->table, s, slot);
	}
	sg_questions_place(&core->questions, questions, keep, question_row, core, now_ns);
	return adopted;
}
