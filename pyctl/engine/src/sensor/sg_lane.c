/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Lanes; see the header. In: bytes. Out: matches. No I/O. */
#include "sensor/sg_lane.h"

#include <string.h>

#include "confirm/sg_confirm.h"
#include "sensor/sg_exact.h"

/* One call's scan. */
struct scan {
	struct sg_lane *lane;
	const __u8 *bytes;
	__u32 len;
	__u64 wanted;
	sg_lane_told told;
	void *ctx;
	__u32 work;
	__u8 room[SG_SENSOR_TAIL];	/* where what lies in the tail and in the new bytes is put together */
};

__u32 sg_lane_bytes(const struct sg_sensors *set, enum sg_part part)
{
	return set->databases[part] ? set->stream_bytes[part] + (__u32)sizeof(struct sg_lane) : 0;
}

int sg_lane_begin(struct sg_lane *lane, struct sg_sensors *set, enum sg_part part)
{
	memset(lane, 0, sizeof(*lane));
	lane->part = part;
	if (set->hs->open(set->databases[part], 0, &lane->stream))
		return -1;
	lane->set = sg_sensors_use(set);
	return 0;
}

void sg_lane_end(struct sg_lane *lane)
{
	if (lane->stream)
		lane->set->hs->close(lane->stream, NULL, NULL, NULL);
	sg_sensors_leave(lane->set);
	lane->stream = NULL;
	lane->set = NULL;
}

/* Return the bytes from one offset to another, of which no more than the tail holds lie before the new ones. */
static const __u8 *bytes_of(struct scan *scan, __u64 from, __u64 to, __u32 *len)
{
	const struct sg_lane *lane = scan->lane;
	__u64 first = lane->at - lane->tail_len, end = lane->at + scan->len;
	__u32 old;

	if (to > end)
		to = end;
	if (from < first)
		from = first;
	if (from + SG_SENSOR_TAIL < to)
		from = to - SG_SENSOR_TAIL;
	*len = from < to ? (__u32)(to - from) : 0;
	if (!*len)
		return scan->room;
	if (from >= lane->at)
		return scan->bytes + (from - lane->at);
	if (to <= lane->at)
		return lane->tail + (from - first);
	old = (__u32)(lane->at - from);
	memcpy(scan->room, lane->tail + (from - first), old);
	memcpy(scan->room + old, scan->bytes, *len - old);
	return scan->room;
}

/* Whether a number's check digits are right. What stands before it counts, too, whatever the match began with. */
static int is_confirmed(struct scan *scan, const struct sg_catch *found)
{
	__u64 from = found->to > SG_CONFIRM_BYTES ? found->to - SG_CONFIRM_BYTES : 0;
	__u32 len;
	const __u8 *bytes = bytes_of(scan, from, found->to, &len);

	return sg_confirm((enum sg_confirm)found->pattern->confirm, bytes, len);
}

/* Take a second look, where the pattern asks for one. Returns whether it is a hit. */
static int confirm(struct scan *scan, __u32 index, struct sg_catch *found)
{
	const struct sg_sensors *set = scan->lane->set;
	int exact = found->pattern->confirm == SG_CONFIRM_PCRE2, said;

	if (!found->pattern->confirm)
		return 1;
	scan->work += exact ? SG_LANE_EXACT : 1;
	if (scan->work > SG_LANE_WORK) {
		found->unsure = 1;
		return 1;
	}
	if (!exact)
		return is_confirmed(scan, found);
	said = sg_exact_matches(set->exact[index], found->bytes, found->len);
	found->unsure = said < 0;
	return said != 0;
}

static int matched(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *ctx)
{
	struct scan *scan = ctx;
	const struct sg_lane *lane = scan->lane;
	struct sg_catch found = { .pattern = &lane->set->patterns[id], .to = lane->base + to };

	(void)flags;
	if (!(scan->wanted >> found.pattern->sensor & 1))
		return 0;
	/* A prefilter knows the end alone. */
	if (found.pattern->confirm == SG_CONFIRM_PCRE2)
		from = 0;
	if (found.pattern->confirm > SG_CONFIRM_PCRE2 && !confirm(scan, id, &found))
		return 0;
	if (found.pattern->confirm == SG_CONFIRM_PCRE2 || found.pattern->show)
		found.bytes = bytes_of(scan, lane->base + from, found.to, &found.len);
	if (found.pattern->confirm == SG_CONFIRM_PCRE2 && !confirm(scan, id, &found))
		return 0;
	return scan->told(scan->ctx, &found);
}

static void keep_tail(struct sg_lane *lane, const __u8 *bytes, __u32 len)
{
	__u32 kept = len < SG_SENSOR_TAIL ? SG_SENSOR_TAIL - len : 0;

	if (kept > lane->tail_len)
		kept = lane->tail_len;
	if (len > SG_SENSOR_TAIL) {
		bytes += len - SG_SENSOR_TAIL;
		len = SG_SENSOR_TAIL;
	}
	memmove(lane->tail, lane->tail + lane->tail_len - kept, kept);
	memcpy(lane->tail + kept, bytes, len);
	lane->tail_len = (__u16)(kept + len);
}

void sg_lane_scan(struct sg_lane *lane, const __u8 *bytes, __u32 len, __u64 wanted, sg_lane_told told, void *ctx)
{
	struct scan scan;
	int result;

	if (lane->is_over || !len)
		return;
	scan.lane = lane;
	scan.bytes = bytes;
	scan.len = len;
	scan.wanted = wanted;
	scan.told = told;
	scan.ctx = ctx;
	scan.work = 0;
	result = lane->set->hs->scan(lane->stream, (const char *)bytes, len, 0, lane->set->scratch, matched, &scan);
	if (result != SG_HS_OK)
		lane->is_over = 1;
	keep_tail(lane, bytes, len);
	lane->at += len;
}

void sg_lane_finish(struct sg_lane *lane, __u64 wanted, sg_lane_told told, void *ctx)
{
	struct scan scan;

	if (lane->is_over)
		return;
	scan.lane = lane;
	scan.bytes = NULL;
	scan.len = 0;
	scan.wanted = wanted;
	scan.told = told;
	scan.ctx = ctx;
	scan.work = 0;
	lane->is_over = lane->set->hs->reset(lane->stream, 0, lane->set->scratch, matched, &scan) != SG_HS_OK;
	lane->at = lane->base = 0;
	lane->tail_len = 0;
}

void sg_lane_restart(struct sg_lane *lane)
{
	lane->is_over = lane->set->hs->reset(lane->stream, 0, NULL, NULL, NULL) != SG_HS_OK;
	lane->base = lane->at;
	lane->tail_len = 0;
}

int sg_lane_turn(struct sg_lane *lane, struct sg_sensors *set, __u64 wanted, sg_lane_told told, void *ctx)
{
	struct sg_lane fresh;

	if (sg_lane_begin(&fresh, set, lane->part)) {
		lane->is_over = 1;
		return -1;
	}
	fresh.at = fresh.base = lane->at - lane->tail_len;
	sg_lane_scan(&fresh, lane->tail, lane->tail_len, wanted, told, ctx);
	sg_lane_end(lane);
	*lane = fresh;
	return 0;
}
