/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads a client's side; see the header. In: bytes. Out: requests, and which bytes are bodies. Pure. */
#include "http/sg_http.h"

#include <string.h>

#include "http/sg_http_head.h"
#include "http/sg_http_slice.h"

enum { START = 0, SIZE, NEXT_SIZE, TRAILERS };	/* what the next unit is */

static struct sg_http_step done(struct sg_http_reader *reader, enum sg_http_unit unit, __u32 used, __u8 state)
{
	reader->state = state;
	reader->scanned = 0;
	reader->begun = 0;
	return (struct sg_http_step){ .unit = unit, .used = used };
}

static struct sg_http_step wrong(void)
{
	return (struct sg_http_step){ .unit = SG_HTTP_WRONG };
}

/* Read what has come of a head since the first `from` bytes, which is not complete; it is parsed anew with each line. */
static struct sg_http_step read_part(struct sg_http_reader *reader, const __u8 *bytes, __u32 len, __u32 from,
				     struct sg_http_request *request)
{
	struct sg_http_step step = { .unit = SG_HTTP_MORE };
	int part;

	/* The last byte of before may be the CR of a line's end. */
	from -= from && bytes[from - 1] == '\r';
	if (!memchr(bytes + from, '\n', len - from))
		return !reader->begun || sg_http_tail(bytes + from, len - from, bytes[from - 1] == '\n') ? step : wrong();
	part = sg_http_part(bytes, len, request);
	reader->begun = part > 0;
	step.part = part > 0;
	return part < 0 ? wrong() : step;
}

static struct sg_http_step read_start(struct sg_http_reader *reader, const __u8 *bytes, __u32 len,
				      struct sg_http_request *request)
{
	__u32 from = reader->scanned;
	struct sg_http_step step;
	int lines;

	/* An empty line before a request is to be ignored (RFC 9112, 2.2). */
	if (bytes[0] == '\r' && len < 2)
		return (struct sg_http_step){ .unit = SG_HTTP_MORE };
	if (bytes[0] == '\r')
		return bytes[1] == '\n' ? done(reader, SG_HTTP_FRAMING, 2, START) : wrong();
	if (bytes[0] < 'A' || bytes[0] > 'Z')
		return wrong();
	lines = sg_http_lines(bytes, len, &reader->scanned);
	if (!lines)
		return read_part(reader, bytes, len, from, request);
	if (lines < 0 || sg_http_head(bytes, (__u32)lines, request))
		return wrong();
	step = done(reader, SG_HTTP_REQUEST, (__u32)lines, request->chunked ? SIZE : START);
	step.body = request->body;
	return step;
}

static struct sg_http_step read_chunk(struct sg_http_reader *reader, const __u8 *bytes, __u32 len)
{
	struct sg_http_step step;
	__u64 size;
	int line = sg_http_chunk(bytes, len, reader->state == NEXT_SIZE, &reader->scanned, &size);

	if (line <= 0)
		return line ? wrong() : (struct sg_http_step){ .unit = SG_HTTP_MORE };
	step = done(reader, SG_HTTP_FRAMING, (__u32)line, size ? NEXT_SIZE : TRAILERS);
	step.body = size;
	return step;
}

static struct sg_http_step read_trailers(struct sg_http_reader *reader, const __u8 *bytes, __u32 len)
{
	int lines = sg_http_lines(bytes, len, &reader->scanned);

	if (!lines)
		return (struct sg_http_step){ .unit = SG_HTTP_MORE };
	if (lines < 0 || !sg_http_trailers(bytes, (__u32)lines))
		return wrong();
	return done(reader, SG_HTTP_FRAMING, (__u32)lines, START);
}

struct sg_http_step sg_http_read(struct sg_http_reader *reader, const __u8 *bytes, __u32 len,
				 struct sg_http_request *request)
{
	if (!len)
		return (struct sg_http_step){ .unit = SG_HTTP_MORE };
	switch (reader->state) {
	case START:
		return read_start(reader, bytes, len, request);
	case TRAILERS:
		return read_trailers(reader, bytes, len);
	default:
		return read_chunk(reader, bytes, len);
	}
}
