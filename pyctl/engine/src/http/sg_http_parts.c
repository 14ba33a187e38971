/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Takes requests apart; see the header. In: bytes. Out: what they belong to. Pure. */
#include "http/sg_http_parts.h"

#include <string.h>
#include <strings.h>

#include "http/sg_http_head.h"

enum { START = 0, METHOD, TARGET, VERSION, HEADERS, BODY, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILERS };
enum { METHOD_MAX = 32, CONNECT_LEN = 7, HEAD_LEN = 4, DIGITS_MAX = 15 };

/* One call. */
struct reading {
	struct sg_http_parts *parts;
	const __u8 *at;
	const __u8 *end;
	sg_http_part_is is;
	void *ctx;
};

static int over(struct reading *r)
{
	struct sg_http_parts *parts = r->parts;

	/* What follows a request for another protocol may be that; what is no request at first is none. */
	parts->said = parts->seen && !parts->switched ? SG_HTTP_PARTS_WRONG : SG_HTTP_PARTS_OVER;
	return 1;
}

static int wrong(struct reading *r)
{
	r->parts->said = SG_HTTP_PARTS_WRONG;
	return 1;
}

static int is_token(__u8 byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
	       (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

/* Tell of bytes up to `to`, and go on there. */
static int tell(struct reading *r, enum sg_http_part part, const __u8 *to, int ends)
{
	__u32 len = (__u32)(to - r->at);
	int stop = (len || ends) && r->is(r->ctx, part, r->at, len, ends);

	r->at = to;
	if (stop)
		r->parts->said = SG_HTTP_PARTS_OVER;
	return stop;
}

static int read_start(struct reading *r)
{
	struct sg_http_parts *parts = r->parts;

	/* Empty lines before a request are to be ignored (RFC 9112, 2.2). */
	if (*r->at == '\r' || *r->at == '\n') {
		r->at++;
		return 0;
	}
	parts->state = METHOD;
	parts->switched = parts->switches;
	parts->method = parts->connect = parts->head = parts->line_len = 0;
	parts->has_length = parts->chunked = parts->form = parts->switches = parts->coding = 0;
	parts->headers = 0;
	parts->length = parts->left = 0;
	return 0;
}

static int read_method(struct reading *r)
{
	struct sg_http_parts *parts = r->parts;
	__u8 byte = *r->at++;

	if (byte == ' ' && parts->method) {
		parts->switches = parts->tunnel = parts->method == CONNECT_LEN && parts->connect == CONNECT_LEN;
		parts->is_head = parts->method == HEAD_LEN && parts->head == HEAD_LEN;
		parts->state = TARGET;
		parts->method = 0;
		return 0;
	}
	if (!is_token(byte) || parts->method >= METHOD_MAX)
		return over(r);
	if (parts->connect == parts->method && parts->connect < CONNECT_LEN && byte == "CONNECT"[parts->connect])
		parts->connect++;
	if (parts->head == parts->method && parts->head < HEAD_LEN && byte == "HEAD"[parts->head])
		parts->head++;
	parts->method++;
	return 0;
}

/* Whether a first request's target looks like one: other protocols have words and spaces, too. */
static int looks_like_target(const struct sg_http_parts *parts, __u8 first)
{
	return parts->seen || parts->switches || first == '/' || first == '*' || first == 'h' || first == 'H';
}

static int read_target(struct reading *r)
{
	struct sg_http_parts *parts = r->parts;
	const __u8 *to = r->at;

	if (!parts->method && !looks_like_target(parts, *to))
		return over(r);
	parts->method = 1;
	while (to < r->end && *to > ' ')
		to++;
	if (to == r->end)
		return tell(r, SG_HTTP_TARGET, to, 0);
	if (tell(r, SG_HTTP_TARGET, to, 1))
		return 1;
	if (*r->at != ' ')
		return over(r);
	r->at++;
	parts->state = VERSION;
	return 0;
}

/* Take bytes into the line up to its end. Returns whether that is there; of a long line the beginning is kept. */
static int take_line(struct reading *r)
{
	struct sg_http_parts *parts = r->parts;
	const __u8 *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
	const __u8 *to = end ? end : r->end;
	__u32 room = SG_HTTP_LINE - parts->line_len, more = (__u32)(to - r->at);

	if (more > room)
		more = room;
	memcpy(parts->line + parts->line_len, r->at, more);
	parts->line_len = (__u8)(parts->line_len + more);
	r->at = end ? end + 1 : to;
	if (end && parts->line_len && parts->line_len < SG_HTTP_LINE && parts->line[parts->line_len - 1] == '\r')
		parts->line_len--;
	return end != NULL;
}

static int read_version(struct reading *r)
{
	struct sg_http_parts *parts = r->parts;

	if (!take_line(r))
		return parts->line_len > 8 + 1 ? over(r) : 0;
	if (parts->line_len != 8 || memcmp(parts->line, "HTTP/1.", 7))
		return over(r);
	parts->seen = 1;
	parts->line_len = 0;
	parts->state = HEADERS;
	return 0;
}

/* Return the value of the line, if it is the header of this name in small letters; its end is *len. */
static const __u8 *value_of(const struct sg_http_parts *parts, const char *name, __u32 *len)
{
	__u32 at = (__u32)strlen(name), end = parts->line_len;

	if (end <= at || parts->line[at] != ':' || strncasecmp((const char *)parts->line, name, at))
		return NULL;
	for (at++; at < end && (parts->line[at] == ' ' || parts->line[at] == '\t');)
		at++;
	while (end > at && (parts->line[end - 1] == ' ' || parts->line[end - 1] == '\t'))
		end--;
	*len = end - at;
	return parts->line + at;
}

static int take_length(struct reading *r, const __u8 *value, __u32 len)
{
	struct sg_http_parts *parts = r->parts;
	__u64 length = 0;

	if (!len || len > DIGITS_MAX)
		return wrong(r);
	for (__u32 i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return wrong(r);
		length = length * 10 + (value[i] - '0');
	}
	if (parts->has_length && parts->length != length)
		return wrong(r);
	parts->has_length = 1;
	parts->length = length;
	return 0;
}

/* Note what a header line says of the body. */
static int note_line(struct reading *r)
{
	static const char form[] = "application/x-www-form-urlencoded";
	struct sg_http_parts *parts = r->parts;
	const __u8 *value, *colon = memchr(parts->line, ':', parts->line_len);
	__u32 len;

	if (colon ? colon == parts->line || colon[-1] == ' ' || colon[-1] == '\t' : parts->line_len < SG_HTTP_LINE)
		return wrong(r);
	value = value_of(parts, "content-length", &len);
	if (value)
		return take_length(r, value, len);
	value = value_of(parts, "transfer-encoding", &len);
	if (value) {
		/* A server takes another coding off, too, or does not know it. */
		if (parts->chunked || len != 7 || strncasecmp((const char *)value, "chunked", 7))
			return wrong(r);
		parts->chunked = 1;
	}
	if (value_of(parts, "upgrade", &len))
		parts->switches = 1;
	value = value_of(parts, "content-encoding", &len);
	if (value)
		sg_http_note_coding(&parts->coding, (struct sg_http_slice){ value, len });
	/* What is behind a line's beginning is not known. */
	if (value && parts->line_len == SG_HTTP_LINE)
		parts->coding = SG_HTTP_CODED;
	value = value_of(parts, "content-type", &len);
	if (value && len >= sizeof(form) - 1 && !strncasecmp((const char *)value, form, sizeof(form) - 1))
		parts->form = 1;
	return 0;
}

/* The headers are over: what comes next? */
static int begin_body(struct reading *r)
{
	struct sg_http_parts *parts = r->parts;

	if (parts->chunked && parts->has_length)
		return wrong(r);
	parts->line_len = 0;
	if (parts->chunked) {
		parts->state = CHUNK_SIZE;
		return 0;
	}
	parts->left = parts->length;
	parts->state = parts->left ? BODY : START;
	return 0;
}

/* Read header lines, or trailers. */
static int read_headers(struct reading *r)
{
	struct sg_http_parts *parts = r->parts;
	int trailers = parts->state == TRAILERS, whole, folded;
	const __u8 *from = r->at, *to;

	whole = take_line(r);
	to = r->at;
	r->at = from;
	parts->headers += (__u32)(to - from);
	if (parts->headers > SG_HTTP_HEADERS_MAX)
		return wrong(r);
	if (!whole)
		return tell(r, SG_HTTP_HEADERS, to, 0);
	if (!parts->line_len) {
		parts->requests += !trailers;
		if (tell(r, SG_HTTP_HEADERS, to, 1))
			return 1;
		if (!trailers)
			return begin_body(r);
		parts->state = START;
		return 0;
	}
	folded = parts->line[0] == ' ' || parts->line[0] == '\t';
	if (tell(r, SG_HTTP_HEADERS, to, 0))
		return 1;
	/* A folded line goes on with one that may frame the body. */
	if (folded || (!trailers && note_line(r)))
		return parts->said ? 1 : wrong(r);
	parts->line_len = 0;
	return 0;
}

/* Read bytes of the body, or of a chunk, which ends with it if `ends`. */
static int read_body(struct reading *r, int ends, __u8 next)
{
	struct sg_http_parts *parts = r->parts;
	__u64 here = (__u64)(r->end - r->at);

	if (here > parts->left)
		here = parts->left;
	parts->left -= here;
	if (!parts->left)
		parts->state = next;
	return tell(r, SG_HTTP_BODY, r->at + here, ends && !parts->left);
}

static int hex_digit(__u8 byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static int read_size(struct reading *r)
{
	struct sg_http_parts *parts = r->parts;
	__u32 digits = 0;

	if (!take_line(r))
		return 0;
	parts->left = 0;
	for (; digits < parts->line_len && hex_digit(parts->line[digits]) >= 0; digits++)
		parts->left = parts->left << 4 | (__u64)hex_digit(parts->line[digits]);
	if (!digits || digits > DIGITS_MAX || (digits < parts->line_len && parts->line[digits] != ';'))
		return wrong(r);
	parts->line_len = 0;
	parts->state = parts->left ? CHUNK : TRAILERS;
	return !parts->left && tell(r, SG_HTTP_BODY, r->at, 1);
}

static int read_chunk_end(struct reading *r)
{
	if (!take_line(r))
		return r->parts->line_len > 1 ? wrong(r) : 0;
	if (r->parts->line_len)
		return wrong(r);
	r->parts->state = CHUNK_SIZE;
	return 0;
}

static int read_some(struct reading *r)
{
	switch (r->parts->state) {
	case START:
		return read_start(r);
	case METHOD:
		return read_method(r);
	case TARGET:
		return read_target(r);
	case VERSION:
		return read_version(r);
	case HEADERS:
	case TRAILERS:
		return read_headers(r);
	case BODY:
		return read_body(r, 1, START);
	case CHUNK:
		return read_body(r, 0, CHUNK_END);
	case CHUNK_SIZE:
		return read_size(r);
	default:
		return read_chunk_end(r);
	}
}

enum sg_http_parts_say sg_http_parts_read(struct sg_http_parts *parts, const __u8 *bytes, __u32 len, sg_http_part_is is,
					  void *ctx)
{
	struct reading r = { .parts = parts, .at = bytes, .end = bytes + len, .is = is, .ctx = ctx };

	while (!parts->said && r.at < r.end)
		if (read_some(&r))
			break;
	return parts->said;
}
