/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Scans flows; see the header. In: segments, datagrams. Out: matches. No I/O. */
#include "scan/sg_scan.h"

#include <errno.h>
#include <stdlib.h>

#include "http/sg_http_decode.h"
#include "http/sg_http_parts.h"
#include "scan/sg_answer_side.h"

enum { SMALL = 2048, DECODED = 1024 };	/* what beginning takes of memory besides payload; bytes decoded at once */

/* The lanes of a flow, each begun with its first byte. */
enum lane {
	URL, URL_DECODED, HEADER, FORM,
	BODY, BODY_BACK,
	PACKET, PACKET_BACK,
	LANES,
};

static const __u8 part_of[LANES] = {
	[URL] = SG_PART_URL, [URL_DECODED] = SG_PART_URL, [HEADER] = SG_PART_HEADER, [FORM] = SG_PART_BODY,
	[BODY] = SG_PART_BODY, [BODY_BACK] = SG_PART_BODY, [PACKET] = SG_PART_PACKET, [PACKET_BACK] = SG_PART_PACKET,
};

struct sg_scan {
	struct sg_sensors *set;
	struct sg_tape *tapes[2];
	struct sg_lane *lanes[LANES];
	struct sg_http_parts requests;
	struct sg_http_decoder target;
	struct sg_http_decoder form;
	struct sg_coded coded;		/* a body of a request */
	struct sg_answer_side answers;
	__u32 requests_seen;		/* that answers are expected for */
	__u8 unread;			/* enum sg_coded_why */
	__u8 in_body;			/* of a request */
	__u8 too_many;			/* requests wait for their answers */
	__u8 midstream;		/* where requests begin is not known */
	__u8 passed;		/* bit per side: bytes have passed that nothing was looked for in */
	__u8 ended;
};

/* A scan of one call. */
struct call {
	struct sg_scans *scans;
	const struct sg_session *s;
	struct sg_scan *scan;
	const struct sg_scan_ask *ask;
};

int sg_scans_init(struct sg_scans *scans, __u32 sessions)
{
	scans->of = calloc(sessions + 1UL, sizeof(struct sg_scan *));
	scans->of_port = calloc(SEG_PORT_IDS, sizeof(*scans->of_port));
	scans->streams = sg_streams_new(SG_SCAN_BYTES);
	return scans->of && scans->of_port && scans->streams ? 0 : -ENOMEM;
}

void sg_scans_free(struct sg_scans *scans)
{
	if (scans->streams)
		sg_streams_free(scans->streams);
	free(scans->of);
	free(scans->of_port);
}

/* Whether the port leaves others enough of the memory with so much more. */
static int has_room(const struct sg_scans *scans, __u16 port_id, __u32 bytes)
{
	return sg_streams_bytes(scans->streams) + scans->of_port[port_id] + 2ULL * bytes <= SG_SCAN_BYTES;
}

/* Count for the port what its flows have taken or given back since there were `before` bytes. */
static void charge(struct sg_scans *scans, __u16 port_id, __u64 before)
{
	scans->of_port[port_id] += sg_streams_bytes(scans->streams) - before;
}

struct sg_scan *sg_scan_begin(struct sg_scans *scans, const struct sg_session *s, const struct sg_sensors *set)
{
	__u64 before = sg_streams_bytes(scans->streams);
	struct sg_scan *scan;

	if (!has_room(scans, s->key.port_id, SMALL))
		return NULL;
	scan = sg_streams_take(scans->streams, sizeof(*scan), 0);
	if (!scan)
		return NULL;
	scan->set = sg_sensors_use((struct sg_sensors *)set);
	scan->midstream = !(s->starts && s->scans);
	charge(scans, s->key.port_id, before);
	return scans->of[s->slot] = scan;
}

static void end_lane(struct sg_scans *scans, struct sg_scan *scan, enum lane which)
{
	struct sg_lane *lane = scan->lanes[which];

	if (!lane)
		return;
	/* What the library takes for the stream is counted with it. */
	__u32 bytes = sg_lane_bytes(lane->set, part_of[which]);

	sg_lane_end(lane);
	sg_streams_give(scans->streams, lane, bytes);
	scan->lanes[which] = NULL;
}

void sg_scan_end(struct sg_scans *scans, const struct sg_session *s)
{
	__u64 before = sg_streams_bytes(scans->streams);
	struct sg_scan *scan = sg_scan_of(scans, s);

	if (!scan)
		return;
	for (int i = 0; i < LANES; i++)
		end_lane(scans, scan, (enum lane)i);
	for (int side = 0; side < 2; side++)
		sg_tape_free(scans->streams, scan->tapes[side]);
	sg_coded_end(&scan->coded, scans->streams);
	sg_answer_stop(&scan->answers, scans->streams, SG_ANSWER_OVER);
	sg_sensors_leave(scan->set);
	sg_streams_give(scans->streams, scan, sizeof(*scan));
	scans->of[s->slot] = NULL;
	charge(scans, s->key.port_id, before);
}

static int is_wanted(const struct sg_scan_ask *ask, enum lane which)
{
	return (ask->set->of_part[part_of[which]] & ask->wanted) != 0;
}

/* Begin a lane in which something is looked for, if it has not begun. 0, or -1: no memory. */
static int begin_lane(const struct call *call, enum lane which)
{
	__u32 bytes = sg_lane_bytes(call->ask->set, part_of[which]);
	struct sg_lane *lane;

	if (call->scan->lanes[which] || !is_wanted(call->ask, which))
		return 0;
	lane = sg_streams_take(call->scans->streams, bytes, 0);
	if (!lane)
		return -1;
	if (sg_lane_begin(lane, call->ask->set, (enum sg_part)part_of[which])) {
		sg_streams_give(call->scans->streams, lane, bytes);
		return -1;
	}
	call->scan->lanes[which] = lane;
	return 0;
}

/* Whether requests are read of this side. */
static int reads_requests(const struct call *call, __u8 side)
{
	return !side && !call->scan->midstream && !call->scan->requests.said;
}

/* Whether answers are read: as long as it is known which request each is for. */
static int reads_answers(const struct call *call, __u8 side)
{
	return side && !call->scan->midstream && !call->scan->answers.said;
}

/* Begin all lanes that bytes of a side may come in, so that no scan needs memory. 0, or -1: there is none. */
static int begin_lanes(const struct call *call, __u8 side)
{
	int error = begin_lane(call, side ? PACKET_BACK : PACKET);

	for (int i = URL; i <= BODY && !error && reads_requests(call, side); i++)
		error = begin_lane(call, (enum lane)i);
	if (!error && reads_answers(call, side))
		error = begin_lane(call, BODY_BACK);
	return error;
}

/* Scan bytes in a lane. Returns 1: whoever was told ended it. */
static int scan_in(const struct call *call, enum lane which, const __u8 *bytes, __u32 len, int ends)
{
	struct sg_lane *lane = call->scan->lanes[which];
	const struct sg_scan_ask *ask = call->ask;

	if (!lane)
		return 0;
	sg_lane_scan(lane, bytes, len, ask->wanted, ask->told, ask->ctx);
	if (ends && !lane->is_over)
		sg_lane_finish(lane, ask->wanted, ask->told, ask->ctx);
	return lane->is_over;
}

/* The same of encoded bytes, decoded. */
static int scan_decoded(const struct call *call, enum lane which, struct sg_http_decoder *decoder, const __u8 *bytes, __u32 len,
			int ends)
{
	__u8 out[DECODED + SG_HTTP_DECODED_MORE];
	int over = 0;

	if (!call->scan->lanes[which])
		return 0;
	do {
		__u32 part = len < DECODED ? len : DECODED;
		int last = ends && part == len;
		__u32 decoded = sg_http_decode(decoder, bytes, part, out);

		if (last)
			decoded += sg_http_decode_end(decoder, out + decoded);
		over = scan_in(call, which, out, decoded, last);
		bytes += part;
		len -= part;
	} while (len && !over);
	return over;
}

/* Whether a body's decoder may have so much memory. */
static int has_room_for(void *ctx, __u32 bytes)
{
	const struct call *call = ctx;

	return has_room(call->scans, call->s->key.port_id, bytes);
}

static void note_unread(void *ctx, enum sg_coded_why why)
{
	const struct call *call = ctx;

	call->scan->unread = (__u8)why;
}

/* Whether whoever was told of a match in a request ended the scan. */
static int is_ended(const struct sg_scan *scan)
{
	for (int i = URL; i <= BODY; i++)
		if (scan->lanes[i] && scan->lanes[i]->is_over)
			return 1;
	return 0;
}

/* Scan what a request's body carries; as sg_unzip_reader. */
static int scan_body(void *ctx, const __u8 *bytes, __u32 len)
{
	const struct call *call = ctx;
	struct sg_scan *scan = call->scan;

	return scan_in(call, BODY, bytes, len, 0) ||
	       (scan->requests.form && scan_decoded(call, FORM, &scan->form, bytes, len, 0));
}

static void begin_body(const struct call *call)
{
	struct sg_scan *scan = call->scan;
	__u8 coding = scan->requests.coding;
	enum sg_coded_why why;

	scan->in_body = 1;
	if (!coding || !scan->lanes[BODY])
		return;
	why = sg_coded_begin(&scan->coded, call->scans->streams, coding, has_room_for((void *)call, sg_coded_bytes(coding)));
	if (why)
		scan->unread = (__u8)why;
}

/* Read a request's body, decoded. */
static int read_body(const struct call *call, const __u8 *bytes, __u32 len, int ends)
{
	struct sg_scan *scan = call->scan;
	struct sg_streams *all = call->scans->streams;
	enum sg_coded_why why;

	if (len && !scan->in_body)
		begin_body(call);
	if (len) {
		why = sg_coded_add(&scan->coded, all, bytes, len, scan_body, (void *)call);
		if (why)
			scan->unread = (__u8)why;
	}
	if (!ends)
		return is_ended(scan);
	scan->in_body = 0;
	sg_coded_end(&scan->coded, all);
	return scan_in(call, BODY, NULL, 0, 1) || (scan->requests.form && scan_decoded(call, FORM, &scan->form, NULL, 0, 1));
}

/* A request's head is complete: expect its answer. */
static void note_request(const struct call *call)
{
	struct sg_scan *scan = call->scan;
	const struct sg_http_parts *parts = &scan->requests;
	__u8 becomes = parts->tunnel ? SG_HTTP_TUNNEL : parts->switches ? SG_HTTP_OTHER : SG_HTTP_STAYS;

	scan->requests_seen = parts->requests;
	if (!scan->answers.said && sg_http_answers_expect(&scan->answers.reader, parts->is_head, becomes))
		scan->too_many = 1;
}

static int scan_part(void *ctx, enum sg_http_part part, const __u8 *bytes, __u32 len, int ends)
{
	const struct call *call = ctx;
	struct sg_scan *scan = call->scan;

	switch (part) {
	case SG_HTTP_TARGET:
		return scan_in(call, URL, bytes, len, ends) || scan_decoded(call, URL_DECODED, &scan->target, bytes, len, ends);
	case SG_HTTP_HEADERS:
		if (scan->requests_seen != scan->requests.requests)
			note_request(call);
		return scan->too_many || scan_in(call, HEADER, bytes, len, ends);
	default:
		return read_body(call, bytes, len, ends);
	}
}

/* Scan what an answer's body carries. */
static int scan_answer(void *ctx, const __u8 *bytes, __u32 len)
{
	return scan_in(ctx, BODY_BACK, bytes, len, 0);
}

static void end_answer(void *ctx)
{
	scan_in(ctx, BODY_BACK, NULL, 0, 1);
}

/* Read the answers in the bytes that come next. */
static enum sg_scan_say scan_answers(const struct call *call, const __u8 *bytes, __u32 len)
{
	const struct sg_answer_take take = {
		.all = call->scans->streams, .has_room = has_room_for, .body = scan_answer, .end = end_answer,
		.unread = note_unread, .ctx = (void *)call,
	};
	struct sg_scan *scan = call->scan;
	enum sg_answer_say say = sg_answer_read(&scan->answers, bytes, len, &take);

	if (scan->lanes[BODY_BACK] && scan->lanes[BODY_BACK]->is_over)
		return SG_SCAN_ENDED;
	if (say)
		end_lane(call->scans, scan, BODY_BACK);
	return say == SG_ANSWER_WRONG ? SG_SCAN_WRONG : SG_SCAN_PASS;
}

/* Whether anything is looked for in requests. */
static int wants_parts(const struct sg_scan_ask *ask)
{
	return is_wanted(ask, URL) || is_wanted(ask, HEADER) || is_wanted(ask, BODY);
}

/* Whether anything is looked for in what a side sends. */
static int wants_side(const struct call *call, __u8 side)
{
	return is_wanted(call->ask, side ? PACKET_BACK : PACKET) || (reads_requests(call, side) && wants_parts(call->ask)) ||
	       (reads_answers(call, side) && is_wanted(call->ask, BODY));
}

/* Let bytes of a side pass that nothing is looked for in. */
static void pass_side(const struct call *call, __u8 side)
{
	sg_tape_free(call->scans->streams, call->scan->tapes[side]);
	call->scan->tapes[side] = NULL;
	call->scan->passed |= (__u8)(1 << side);
	if (!side && !call->scan->requests.said)
		call->scan->requests.said = SG_HTTP_PARTS_OVER;
}

/* Return the sequence number of the first byte of a side that is scanned, if it is not there yet. */
static __u32 first_of(const struct sg_scan *scan, const struct sg_session *s, __u8 side, __u32 seq)
{
	return scan->midstream || scan->passed >> side & 1 ? seq : s->first_seq[side];
}

/* Scan the bytes that come next of a side. */
static enum sg_scan_say scan_bytes(const struct call *call, __u8 side, const __u8 *bytes, __u32 len)
{
	struct sg_scan *scan = call->scan;

	if (scan_in(call, side ? PACKET_BACK : PACKET, bytes, len, 0))
		return SG_SCAN_ENDED;
	if (reads_answers(call, side) && is_wanted(call->ask, BODY))
		return scan_answers(call, bytes, len);
	if (!reads_requests(call, side) || !wants_parts(call->ask))
		return SG_SCAN_PASS;
	sg_http_parts_read(&scan->requests, bytes, len, scan_part, (void *)call);
	if (is_ended(scan))
		return SG_SCAN_ENDED;
	for (int i = URL; i <= BODY && scan->requests.said; i++)
		end_lane(call->scans, scan, (enum lane)i);
	return scan->requests.said == SG_HTTP_PARTS_WRONG || scan->too_many ? SG_SCAN_WRONG : SG_SCAN_PASS;
}

static enum sg_scan_say scan_tape(const struct call *call, __u8 side)
{
	struct sg_tape *tape = call->scan->tapes[side];
	enum sg_scan_say say = SG_SCAN_PASS;
	const __u8 *bytes;
	__u32 len;

	while (say == SG_SCAN_PASS && (bytes = sg_tape_next(tape, &len))) {
		say = scan_bytes(call, side, bytes, len);
		sg_tape_read(tape, len);
	}
	if (say == SG_SCAN_ENDED)
		call->scan->ended = 1;
	return say;
}

enum sg_scan_say sg_scan_segment(struct sg_scans *scans, const struct sg_session *s, __u8 side, __u32 seq, const __u8 *data,
				 __u32 len, const struct sg_scan_ask *ask)
{
	struct call call = { .scans = scans, .s = s, .scan = sg_scan_of(scans, s), .ask = ask };
	__u64 before = sg_streams_bytes(scans->streams);
	enum sg_scan_say say = SG_SCAN_PASS;
	struct sg_tape **tape = &call.scan->tapes[side];

	if (!wants_side(&call, side)) {
		pass_side(&call, side);
		charge(scans, s->key.port_id, before);
		return SG_SCAN_PASS;
	}
	if (!has_room(scans, s->key.port_id, len + SMALL))
		return SG_SCAN_NO_ROOM;
	if (!*tape)
		*tape = sg_tape_new(scans->streams, first_of(call.scan, s, side, seq));
	if (!*tape || begin_lanes(&call, side)) {
		charge(scans, s->key.port_id, before);
		return SG_SCAN_NO_ROOM;
	}
	switch (sg_tape_add(scans->streams, *tape, seq, data, len)) {
	case SG_TAPE_NEW:
		say = scan_tape(&call, side);
		break;
	case SG_TAPE_DIFFERS:
		say = SG_SCAN_DIFFERS;
		break;
	case SG_TAPE_NO_ROOM:
		say = SG_SCAN_NO_ROOM;
		break;
	default:
		break;
	}
	charge(scans, s->key.port_id, before);
	return say;
}

enum sg_scan_say sg_scan_fin(struct sg_scans *scans, const struct sg_session *s, __u8 side, __u32 seq,
			     const struct sg_scan_ask *ask)
{
	struct call call = { .scans = scans, .s = s, .scan = sg_scan_of(scans, s), .ask = ask };
	struct sg_tape *tape = call.scan->tapes[side];
	struct sg_lane *lane = call.scan->lanes[side ? PACKET_BACK : PACKET];

	if (!tape || !sg_tape_is_at(tape, seq))
		return SG_SCAN_PASS;
	/* An answer without a length ends with its connection. */
	if (side && scan_in(&call, BODY_BACK, NULL, 0, 1))
		return SG_SCAN_ENDED;
	if (!lane || lane->is_over)
		return SG_SCAN_PASS;
	sg_lane_finish(lane, ask->wanted, ask->told, ask->ctx);
	return lane->is_over ? SG_SCAN_ENDED : SG_SCAN_PASS;
}

void sg_scan_turn(struct sg_scans *scans, const struct sg_session *s, const struct sg_scan_ask *ask)
{
	struct sg_scan *scan = sg_scan_of(scans, s);
	__u64 before = sg_streams_bytes(scans->streams);

	if (scan->set == ask->set)
		return;
	for (int i = 0; i < LANES; i++) {
		struct sg_lane *lane = scan->lanes[i];
		__u32 had, wants;

		if (!lane)
			continue;
		had = sg_lane_bytes(lane->set, part_of[i]);
		wants = sg_lane_bytes(ask->set, part_of[i]);
		if (!wants || sg_lane_turn(lane, ask->set, ask->wanted, ask->told, ask->ctx)) {
			end_lane(scans, scan, (enum lane)i);
			continue;
		}
		sg_streams_resize(scans->streams, had, wants);
	}
	sg_sensors_leave(scan->set);
	scan->set = sg_sensors_use(ask->set);
	charge(scans, s->key.port_id, before);
}

/* What a side sends next does not follow what was scanned. */
static void lose(struct sg_scans *scans, struct sg_scan *scan, __u8 side)
{
	struct sg_lane *lane = scan->lanes[side ? PACKET_BACK : PACKET];

	if (lane)
		sg_lane_restart(lane);
	if (!side && !scan->requests.said)
		scan->requests.said = SG_HTTP_PARTS_OVER;
	/* Which answer is for which request is known no more, whichever side it is. */
	if (!scan->answers.said)
		sg_answer_stop(&scan->answers, scans->streams, SG_ANSWER_OVER);
	sg_coded_end(&scan->coded, scans->streams);
	end_lane(scans, scan, BODY_BACK);
}

void sg_scan_skip(struct sg_scans *scans, const struct sg_session *s, __u8 side, __u32 seq)
{
	struct sg_scan *scan = sg_scan_of(scans, s);
	__u64 before = sg_streams_bytes(scans->streams);

	if (!scan || !scan->tapes[side])
		return;
	lose(scans, scan, side);
	sg_tape_skip(scans->streams, scan->tapes[side], seq);
	charge(scans, s->key.port_id, before);
}

void sg_scan_acknowledge(struct sg_scans *scans, const struct sg_session *s, __u8 side, __u32 ack, int may_miss)
{
	struct sg_scan *scan = sg_scan_of(scans, s);
	__u64 before = sg_streams_bytes(scans->streams);

	if (!scan->tapes[side])
		return;
	if (sg_tape_acknowledge(scans->streams, scan->tapes[side], ack) && may_miss)
		sg_scan_skip(scans, s, side, ack);
	else
		charge(scans, s->key.port_id, before);
}

enum sg_coded_why sg_scan_unread(struct sg_scans *scans, const struct sg_session *s)
{
	struct sg_scan *scan = sg_scan_of(scans, s);
	enum sg_coded_why why = scan ? (enum sg_coded_why)scan->unread : SG_CODED_FINE;

	if (scan)
		scan->unread = SG_CODED_FINE;
	return why;
}

enum sg_scan_say sg_scan_datagram(struct sg_scans *scans, const struct sg_session *s, __u8 side, const __u8 *bytes, __u32 len,
				  int ends, const struct sg_scan_ask *ask)
{
	struct call call = { .scans = scans, .s = s, .scan = sg_scan_of(scans, s), .ask = ask };
	__u64 before = sg_streams_bytes(scans->streams);
	int error = begin_lane(&call, side ? PACKET_BACK : PACKET), over;

	over = !error && scan_in(&call, side ? PACKET_BACK : PACKET, bytes, len, ends);
	charge(scans, s->key.port_id, before);
	return error ? SG_SCAN_NO_ROOM : over ? SG_SCAN_ENDED : SG_SCAN_PASS;
}
