/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Requests of a connection; see the header. In: segments. Out: requests, and what of the segments may pass. No I/O. */
#include "look/sg_requests.h"

#include <stddef.h>

int sg_requests_begin(struct sg_streams *all, struct sg_requests *requests, __u32 first_seq, __u32 preface)
{
	*requests = (struct sg_requests){ .window = sg_window_new(all, first_seq), .preface = preface };
	return requests->window ? 0 : -1;
}

int sg_requests_turn_http2(struct sg_streams *all, struct sg_requests *requests, __u32 last_stream)
{
	requests->is_http2 = 1;
	return sg_http2_begin(&requests->http2, all, last_stream);
}

void sg_requests_end(struct sg_streams *all, struct sg_requests *requests)
{
	sg_http2_end(&requests->http2);
	sg_window_free(all, requests->window);
	requests->window = NULL;
}

int sg_requests_pass(const struct sg_requests *requests, __u32 seq)
{
	return requests->begins ? sg_window_is_there(requests->window, seq) : sg_window_is_read(requests->window, seq);
}

/* What is said of bytes whose unit is not complete: those that frame the body of an allowed request need not wait, nor the
 * head of one that is allowed whatever comes of it. A sender whose window is small could not send the rest if they did, nor
 * one whose small write waits for the ACK of the one before. */
static enum sg_requests_say say_of_part(const struct sg_requests *requests, enum sg_requests_say of_head)
{
	return (requests->is_http2 || sg_http_wants_request(&requests->reader)) && !requests->begins ? of_head : SG_REQUESTS_PASS;
}

static struct sg_http_step read_unit(struct sg_requests *requests, const __u8 *bytes, __u32 len,
				     struct sg_http_request *request)
{
	if (requests->is_http2)
		return sg_http2_read(&requests->http2, bytes, len, request);
	return sg_http_read(&requests->reader, bytes, len, request);
}

/* Read all units that these bytes complete. Returns what they say of the segment. */
static enum sg_requests_say read_units(struct sg_requests *requests, const __u8 *bytes, __u32 count,
				       sg_requests_judge judge, void *ctx)
{
	struct sg_http_request request;
	__u32 at = 0;

	sg_http2_segment(&requests->http2);
	if (requests->preface > count)
		return SG_REQUESTS_WAIT;
	if (requests->preface)
		at = sg_window_read(requests->window, requests->preface, 0);
	requests->preface = 0;
	while (at < count) {
		struct sg_http_step step = read_unit(requests, bytes + at, count - at, &request);

		if (step.unit == SG_HTTP_MORE) {
			if (step.part && !requests->begins)
				requests->begins = !judge(ctx, &request);
			return say_of_part(requests, SG_REQUESTS_WAIT);
		}
		requests->begins = 0;
		if (step.unit == SG_HTTP_WRONG)
			return SG_REQUESTS_WRONG;
		if (step.unit == SG_HTTP_NO_ROOM)
			return SG_REQUESTS_LOST;
		if (step.unit == SG_HTTP_REQUEST) {
			if (judge(ctx, &request))
				return SG_REQUESTS_REFUSED;
			requests->becomes = requests->count ? SG_HTTP_STAYS : request.becomes;
			requests->count = requests->count ? 2 : 1;
		}
		at += sg_window_read(requests->window, step.used, step.body);
	}
	return SG_REQUESTS_PASS;
}

enum sg_requests_say sg_requests_add(struct sg_streams *all, struct sg_requests *requests, __u32 seq, const __u8 *data,
				     __u32 len, sg_requests_judge judge, void *ctx)
{
	struct sg_requests before = *requests;
	enum sg_requests_say said;
	const __u8 *bytes;
	__u32 count;

	switch (sg_window_add(all, requests->window, seq, data, len, &bytes, &count)) {
	case SG_WINDOW_NEW:
		break;
	case SG_WINDOW_PAST:
		return SG_REQUESTS_PASS;
	case SG_WINDOW_UNREAD:
		return say_of_part(requests, SG_REQUESTS_AGAIN);
	case SG_WINDOW_AHEAD:
		return SG_REQUESTS_AHEAD;
	case SG_WINDOW_DIFFERS:
		return SG_REQUESTS_DIFFER;
	default:
		return SG_REQUESTS_NO_ROOM;
	}
	/* What is read of HTTP/2 cannot be read again, so there is room first. */
	if (requests->is_http2 && !sg_window_has_room(all, requests->window))
		return SG_REQUESTS_NO_ROOM;
	said = read_units(requests, bytes, count, judge, ctx);
	if (said <= SG_REQUESTS_WAIT && sg_window_keep(all, requests->window))
		said = requests->http2.decodes ? SG_REQUESTS_LOST : SG_REQUESTS_NO_ROOM;
	if (said > SG_REQUESTS_WAIT)
		*requests = before;
	return said;
}
