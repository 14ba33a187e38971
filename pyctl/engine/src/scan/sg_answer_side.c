/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads answers; see the header. In: bytes. Out: bodies. No I/O. */
#include "scan/sg_answer_side.h"

#include <string.h>

enum { UNIT_SMALL = 4096, UNIT_MOST = SG_HTTP_HEAD_MAX + UNIT_SMALL };

void sg_answer_stop(struct sg_answer_side *side, struct sg_streams *all, enum sg_answer_say said)
{
	sg_coded_end(&side->coded, all);
	if (side->unit)
		sg_streams_give(all, side->unit, side->unit_room);
	side->unit = NULL;
	side->unit_len = side->unit_room = 0;
	side->body = 0;
	side->said = (__u8)said;
}

/* Keep bytes of a unit that is not complete, behind those that are kept. -1: there is no memory. */
static int keep(struct sg_answer_side *side, const __u8 *bytes, __u32 len, const struct sg_answer_take *take)
{
	__u32 wanted = side->unit_len + len, room = wanted <= UNIT_SMALL ? UNIT_SMALL : UNIT_MOST;
	__u8 *more;

	if (wanted > UNIT_MOST)
		return -1;
	if (room > side->unit_room) {
		more = take->has_room(take->ctx, room) ? sg_streams_take(take->all, room, 0) : NULL;
		if (!more)
			return -1;
		if (side->unit) {
			memcpy(more, side->unit, side->unit_len);
			sg_streams_give(take->all, side->unit, side->unit_room);
		}
		side->unit = more;
		side->unit_room = room;
	}
	memcpy(side->unit + side->unit_len, bytes, len);
	side->unit_len = wanted;
	return 0;
}

static void forget(struct sg_answer_side *side, const struct sg_answer_take *take)
{
	if (side->unit)
		sg_streams_give(take->all, side->unit, side->unit_room);
	side->unit = NULL;
	side->unit_len = side->unit_room = 0;
}

static void tell(const struct sg_answer_take *take, enum sg_coded_why why)
{
	if (why)
		take->unread(take->ctx, why);
}

static void end_message(struct sg_answer_side *side, const struct sg_answer_take *take)
{
	sg_coded_end(&side->coded, take->all);
	take->end(take->ctx);
}

/* Take bytes of the body. Returns how many. */
static __u32 take_body(struct sg_answer_side *side, const __u8 *bytes, __u32 len, const struct sg_answer_take *take)
{
	__u32 here = len < side->body ? len : (__u32)side->body;

	tell(take, sg_coded_add(&side->coded, take->all, bytes, here, take->body, take->ctx));
	if (side->body != SG_HTTP_TO_THE_END)
		side->body -= here;
	if (!side->body && side->last)
		end_message(side, take);
	return here;
}

static void begin_body(struct sg_answer_side *side, const struct sg_http_answer *answer, const struct sg_answer_take *take)
{
	int has_room = take->has_room(take->ctx, sg_coded_bytes(answer->coding));

	tell(take, sg_coded_begin(&side->coded, take->all, answer->coding, has_room));
}

/* Read one unit. Returns the bytes of it that lie in `bytes`, of which all are kept if it is not complete. */
static __u32 read_unit(struct sg_answer_side *side, const __u8 *bytes, __u32 len, const struct sg_answer_take *take)
{
	__u32 kept = side->unit_len, more = len < UNIT_MOST - kept ? len : UNIT_MOST - kept;
	struct sg_http_answer answer = { .status = 0 };
	struct sg_http_answer_step step;

	if (kept && keep(side, bytes, more, take)) {
		sg_answer_stop(side, take->all, SG_ANSWER_WRONG);
		return len;
	}
	step = sg_http_answers_read(&side->reader, kept ? side->unit : bytes, kept ? side->unit_len : len, &answer);
	if (step.unit == SG_HTTP_ANSWER_WRONG || step.unit == SG_HTTP_ANSWER_SWITCHED) {
		/* What is none from its first byte on was another protocol all along. */
		sg_answer_stop(side, take->all,
			       step.unit == SG_HTTP_ANSWER_WRONG && (side->seen || side->reader.open) ? SG_ANSWER_WRONG :
													 SG_ANSWER_OVER);
		return len;
	}
	if (step.unit == SG_HTTP_ANSWER_MORE) {
		if (!kept && keep(side, bytes, len, take))
			sg_answer_stop(side, take->all, SG_ANSWER_WRONG);
		return kept ? more : len;
	}
	forget(side, take);
	side->seen = 1;
	side->body = step.body;
	side->last = step.last;
	if (step.unit == SG_HTTP_ANSWER_HEAD && (!step.last || step.body))
		begin_body(side, &answer, take);
	else if (step.last && !step.body)
		end_message(side, take);
	return step.used - kept;
}

enum sg_answer_say sg_answer_read(struct sg_answer_side *side, const __u8 *bytes, __u32 len, const struct sg_answer_take *take)
{
	while (len && !side->said) {
		__u32 used = side->body ? take_body(side, bytes, len, take) : read_unit(side, bytes, len, take);

		bytes += used;
		len -= used;
	}
	return (enum sg_answer_say)side->said;
}
