/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads what ports have learnt of names (api/sg_engine.h). In: the core. Out: records, counts. No I/O. */
#define _GNU_SOURCE
#include "engine/sg_loop.h"

struct reading {
	__u16 port_id;
	void *out;
	__u32 max;
	__u32 *cursor;
	const struct sg_name_query *queries;
	__u32 asked;		/* of them */
};

enum { ASKED_AT_ONCE = 64 };

static int names(struct sg_engine *engine, void *context)
{
	struct reading *reading = context;

	return (int)sg_core_names(engine->core, reading->port_id, reading->out, reading->max, reading->cursor);
}

int sg_engine_names(struct sg_engine *engine, __u16 port_id, struct sg_name_record *out, __u32 max, __u32 *cursor)
{
	struct reading reading = { .port_id = port_id, .cursor = cursor };
	__u32 found = 0;

	do {
		reading.out = out + found;
		reading.max = max - found;
		found += (__u32)sg_engine_call(engine, names, &reading);
	} while (*cursor && found < max);
	return (int)found;
}

static int names_of(struct sg_engine *engine, void *context)
{
	const struct reading *reading = context;

	return (int)sg_core_names_of(engine->core, reading->queries, reading->asked, reading->out, reading->max);
}

int sg_engine_names_of(struct sg_engine *engine, const struct sg_name_query *queries, __u32 count,
		       struct sg_name_record *out, __u32 max)
{
	struct reading reading = { 0 };
	__u32 found = 0;

	for (__u32 at = 0; at < count && found < max; at += reading.asked) {
		reading.queries = queries + at;
		reading.asked = count - at < ASKED_AT_ONCE ? count - at : ASKED_AT_ONCE;
		reading.out = out + found;
		reading.max = max - found;
		found += (__u32)sg_engine_call(engine, names_of, &reading);
	}
	return (int)found;
}

static int counts(struct sg_engine *engine, void *context)
{
	struct reading *reading = context;

	sg_core_name_counts(engine->core, reading->port_id, reading->out);
	return 0;
}

int sg_engine_name_counts(struct sg_engine *engine, __u16 port_id, struct sg_name_counts *out)
{
	struct reading reading = { .port_id = port_id, .out = out };

	return sg_engine_call(engine, counts, &reading);
}
