/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads a client's side; see the header. In: bytes. Out: requests, and which bytes are bodies. Pure. */
#include "http/sg_http.h"

#include <string.h>

#include "http/sg_http_head.h"

enum { START = 0, SIZE, NEXT_SIZE, TRAILERS };	/* what the next unit is */
enum { SIZE_DIGITS = 15, SIZE_LINE_MAX = 1024 };

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

static int hex_digit(__u8 byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Read a chunk's size out of its line, which has no CRLF; -1: it is none. */
static int read_size(const __u8 *line, __u32 len, __u64 *size)
{
	__u32 digits = 0;

	*size = 0;
	for (; digits < len && hex_digit(line[digits]) >= 0; digits++)
		*size = *size << 4 | (__u64)hex_digit(line[digits]);
	if (!digits || digits > SIZE_DIGITS || (digits < len && line[digits] != ';'))
		return -1;
	for (__u32 i = digits; i < len; i++)
		if ((line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
			return -1;
	return 0;
}

static struct sg_http_step read_chunk(struct sg_http_reader *reader, const __u8 *bytes, __u32 len)
{
	__u32 begin = reader->state == NEXT_SIZE ? 2 : 0, from = reader->scanned > begin ? reader->scanned : begin, at;
	struct sg_http_step step;
	const __u8 *end;
	__u64 size;

	if (begin && (bytes[0] != '\r' || (len > 1 && bytes[1] != '\n')))
		return wrong();
	end = from < len ? memchr(bytes + from, '\n', len - from) : NULL;
	if (!end) {
		reader->scanned = len;
		return len < SIZE_LINE_MAX ? (struct sg_http_step){ .unit = SG_HTTP_MORE } : wrong();
	}
	at = (__u32)(end - bytes);
	if (at < begin + 2 || bytes[at - 1] != '\r' || read_size(bytes + begin, at - 1 - begin, &size))
		return wrong();
	step = done(reader, SG_HTTP_FRAMING, at + 1, size ? NEXT_SIZE : TRAILERS);
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
