/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads a server's side; see the header. In: bytes, requests. Out: answers, and where their bodies are. Pure. */
#include "answer/sg_http_answers.h"

#include <string.h>

#include "http/sg_http_head.h"

enum { START = 0, SIZE, NEXT_SIZE, TRAILERS, TO_THE_END, SWITCHED };	/* what the next unit is */
enum { STATUS_AT = 9, REASON_AT = 12 };	/* in the first line */
enum { SWITCHES = 101, NO_CONTENT = 204, NOT_MODIFIED = 304 };

/* What headers say of an answer's body. */
struct framing {
	struct sg_http_slice length;
	int lengths;
	int codings;
};

static const struct sg_http_answer_step more = { .unit = SG_HTTP_ANSWER_MORE };
static const struct sg_http_answer_step wrong = { .unit = SG_HTTP_ANSWER_WRONG };

int sg_http_answers_expect(struct sg_http_answers *reader, int is_head, __u8 becomes)
{
	__u64 bit = 1ULL << reader->open % SG_HTTP_OPEN_MAX;

	if (reader->open == SG_HTTP_OPEN_MAX)
		return -1;
	reader->open++;
	if (is_head)
		reader->heads |= bit;
	if (becomes == SG_HTTP_TUNNEL)
		reader->tunnels |= bit;
	else if (becomes != SG_HTTP_STAYS)
		reader->asks |= bit;
	return 0;
}

/* Forget the request that was answered. A server may answer none: that it closes for lack of one. */
static void close_request(struct sg_http_answers *reader)
{
	reader->heads >>= 1;
	reader->asks >>= 1;
	reader->tunnels >>= 1;
	reader->open -= reader->open > 0;
}

static struct sg_http_answer_step done(struct sg_http_answers *reader, enum sg_http_answer_unit unit, __u32 used, __u8 state)
{
	reader->state = state;
	reader->scanned = 0;
	return (struct sg_http_answer_step){ .unit = unit, .used = used, .last = state == START };
}

/* Read the first line: HTTP/1.x, a status, and a reason or none. */
static int read_status(struct sg_http_slice line, struct sg_http_answer *answer, int *newer)
{
	if (line.len < REASON_AT || memcmp(line.at, "HTTP/1.", 7) || (line.at[7] != '0' && line.at[7] != '1') ||
	    line.at[8] != ' ' || (line.len > REASON_AT && line.at[REASON_AT] != ' '))
		return -1;
	*newer = line.at[7] == '1';
	answer->status = 0;
	for (int i = STATUS_AT; i < REASON_AT; i++) {
		if (line.at[i] < '0' || line.at[i] > '9')
			return -1;
		answer->status = (__u16)(answer->status * 10 + line.at[i] - '0');
	}
	for (__u32 i = REASON_AT; i < line.len; i++)
		if ((line.at[i] < ' ' && line.at[i] != '\t') || line.at[i] == 0x7f)
			return -1;
	return answer->status >= 100 && answer->status < 600 ? 0 : -1;
}

static int read_headers(struct sg_http_slice lines, struct framing *framing, struct sg_http_answer *answer)
{
	struct sg_http_slice name, value;

	while (lines.len > 2) {
		if (sg_http_split(sg_http_take_line(&lines), &name, &value))
			return -1;
		if (sg_http_is(name, "content-length")) {
			if (framing->lengths++ && !sg_http_same(framing->length, value))
				return -1;
			framing->length = value;
		}
		if (sg_http_is(name, "transfer-encoding") && (framing->codings++ || !sg_http_is(value, "chunked")))
			return -1;
		if (sg_http_is(name, "content-encoding"))
			sg_http_note_coding(&answer->coding, value);
	}
	return 0;
}

/* Return whether the answer has no body, whatever its headers say. */
static int is_bare(const struct sg_http_answers *reader, const struct sg_http_answer *answer)
{
	return answer->interim || answer->switches || reader->heads & 1 || answer->status == NO_CONTENT ||
	       answer->status == NOT_MODIFIED;
}

/* Tell where the body ends. */
static struct sg_http_answer_step frame(struct sg_http_answers *reader, const struct framing *framing,
					struct sg_http_answer *answer, __u32 used)
{
	struct sg_http_answer_step step;
	__u64 length = 0;

	if (framing->lengths && sg_http_read_length(framing->length.at, framing->length.len, &length))
		return wrong;
	if (is_bare(reader, answer)) {
		answer->chunked = 0;
		step = done(reader, SG_HTTP_ANSWER_HEAD, used, answer->switches ? SWITCHED : START);
		step.last = 1;
	} else if (answer->chunked) {
		step = done(reader, SG_HTTP_ANSWER_HEAD, used, SIZE);
	} else if (framing->lengths) {
		step = done(reader, SG_HTTP_ANSWER_HEAD, used, START);
		step.body = length;
	} else {
		step = done(reader, SG_HTTP_ANSWER_HEAD, used, TO_THE_END);
		step.body = SG_HTTP_TO_THE_END;
	}
	if (!answer->interim)
		close_request(reader);
	return step;
}

static struct sg_http_answer_step read_head(struct sg_http_answers *reader, const __u8 *bytes, __u32 len,
					    struct sg_http_answer *answer)
{
	static const char first[] = "HTTP/1.";
	struct sg_http_slice lines = { bytes, 0 };
	struct framing framing = { .lengths = 0 };
	int newer, size;

	if (memcmp(bytes, first, len < sizeof(first) - 1 ? len : sizeof(first) - 1))
		return wrong;
	size = sg_http_lines(bytes, len, &reader->scanned);
	if (size <= 0)
		return size ? wrong : more;
	lines.len = (__u32)size;
	*answer = (struct sg_http_answer){ .status = 0 };
	if (read_status(sg_http_take_line(&lines), answer, &newer) || read_headers(lines, &framing, answer))
		return wrong;
	if (framing.codings && (framing.lengths || !newer))
		return wrong;
	answer->chunked = framing.codings > 0;
	if (reader->tunnels & 1)
		answer->switches = answer->status >= 200 && answer->status < 300;
	else if (answer->status == SWITCHES)
		answer->switches = reader->asks & 1;
	/* Nobody asked for it, so clients differ in what they take the rest for. */
	if (answer->status == SWITCHES && !answer->switches)
		return wrong;
	answer->interim = answer->status < 200 && !answer->switches;
	return frame(reader, &framing, answer, (__u32)size);
}

static struct sg_http_answer_step read_chunk(struct sg_http_answers *reader, const __u8 *bytes, __u32 len)
{
	struct sg_http_answer_step step;
	__u64 size;
	int line = sg_http_chunk(bytes, len, reader->state == NEXT_SIZE, &reader->scanned, &size);

	if (line <= 0)
		return line ? wrong : more;
	step = done(reader, SG_HTTP_ANSWER_FRAMING, (__u32)line, size ? NEXT_SIZE : TRAILERS);
	step.body = size;
	return step;
}

static struct sg_http_answer_step read_trailers(struct sg_http_answers *reader, const __u8 *bytes, __u32 len)
{
	int lines = sg_http_lines(bytes, len, &reader->scanned);

	if (!lines)
		return more;
	if (lines < 0 || !sg_http_trailers(bytes, (__u32)lines))
		return wrong;
	return done(reader, SG_HTTP_ANSWER_FRAMING, (__u32)lines, START);
}

struct sg_http_answer_step sg_http_answers_read(struct sg_http_answers *reader, const __u8 *bytes, __u32 len,
						struct sg_http_answer *answer)
{
	if (reader->state == SWITCHED)
		return (struct sg_http_answer_step){ .unit = SG_HTTP_ANSWER_SWITCHED };
	if (reader->state == TO_THE_END)
		return (struct sg_http_answer_step){ .unit = SG_HTTP_ANSWER_FRAMING, .body = SG_HTTP_TO_THE_END };
	if (!len)
		return more;
	switch (reader->state) {
	case START:
		return read_head(reader, bytes, len, answer);
	case TRAILERS:
		return read_trailers(reader, bytes, len);
	default:
		return read_chunk(reader, bytes, len);
	}
}
