/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* How much programs may open by themselves; see the header. In: the core's counts. Out: credit. I/O: sg_io's credit. */
#include "flow/sg_credit.h"

enum {
	OPENS_MAX = SEG_OPENS_BYTES / (8 + sizeof(struct seg_open_event)),	/* that the ring has room for */
	RESERVE = 16,	/* a part of the table, and of the flow maps, that small ones leave for what the ring holds */
};

static __u32 min(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

/* Entries of the flow maps that may be there before programs open nothing more: open connections need the others. */
static __u32 entries_max(const struct sg_core *core)
{
	return min(core->cache_limit, SEG_FLOWS_MAX) / 4 * 3;
}

/* How many connections may wait in the ring. */
static __u32 opens_max(const struct sg_core *core)
{
	return min(OPENS_MAX, min(core->table.max, entries_max(core)) / RESERVE);
}

int sg_credit_has_room(const struct sg_core *core)
{
	__u32 opens = opens_max(core);

	return core->table.count + opens < core->table.max && core->cache.entries + opens < entries_max(core);
}

void sg_credit_give(const struct sg_core *core, __u16 port_id)
{
	__s64 left = (__s64)entries_max(core) - (__s64)core->cache.entries;
	__s64 credit = (left - (__s64)core->ports[port_id]->cache.entries) / 2, most = (opens_max(core) + 1) / 2;

	core->io.credit(core->io.ctx, port_id, credit < most ? credit : most);
}
