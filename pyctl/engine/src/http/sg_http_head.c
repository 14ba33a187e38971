/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Heads of requests; see the header. In: bytes. Out: a request. Pure. */
#include "http/sg_http_head.h"

#include <string.h>

#include "api/sg_apps.h"
#include "http/sg_http_path.h"

enum { LENGTH_DIGITS = 18 };	/* of Content-Length */

/* Bytes that are read from their beginning on. */
struct part {
	const __u8 *at;
	__u32 len;
};

/* What headers say of a request. */
struct headers {
	struct part host;
	struct part length;
	int hosts;
	int lengths;
	int codings;
	int upgrades;
	int websocket;
	int http2;
};

static int is_capital_or_digit(__u8 byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

static __u8 lower(__u8 byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* RFC 9110: a token. */
static int is_token(__u8 byte)
{
	return is_capital_or_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

/* Whether the part is this text, which is in lower case, whatever its own letters' case. */
static int is(struct part part, const char *text)
{
	for (__u32 i = 0; i < part.len; i++)
		if (lower(part.at[i]) != (__u8)text[i])
			return 0;
	return !text[part.len];
}

static int is_same(struct part one, struct part other)
{
	return one.len == other.len && !memcmp(one.at, other.at, one.len);
}

int sg_http_lines(const __u8 *bytes, __u32 len, __u32 *scanned)
{
	__u32 from = *scanned;
	const __u8 *end;

	while (from < len && (end = memchr(bytes + from, '\n', len - from))) {
		__u32 at = (__u32)(end - bytes);

		if (!at || bytes[at - 1] != '\r' || at >= SG_HTTP_HEAD_MAX)
			return -1;
		if (at == 1 || bytes[at - 2] == '\n')
			return (int)at + 1;
		from = at + 1;
	}
	*scanned = len;
	return len < SG_HTTP_HEAD_MAX ? 0 : -1;
}

/* Take the part before the next CRLF, which must be there, off the lines. */
static struct part take_line(struct part *lines)
{
	const __u8 *end = memchr(lines->at, '\n', lines->len);
	struct part line = { lines->at, (__u32)(end - lines->at) - 1 };

	lines->at += line.len + 2;
	lines->len -= line.len + 2;
	return line;
}

/* Split a header; -1: it is none. */
static int split(struct part line, struct part *name, struct part *value)
{
	*name = (struct part){ line.at, 0 };
	while (name->len < line.len && is_token(line.at[name->len]))
		name->len++;
	if (!name->len || name->len == line.len || line.at[name->len] != ':')
		return -1;
	*value = (struct part){ line.at + name->len + 1, line.len - name->len - 1 };
	for (__u32 i = 0; i < value->len; i++)
		if ((value->at[i] < ' ' && value->at[i] != '\t') || value->at[i] == 0x7f)
			return -1;
	while (value->len && (value->at[0] == ' ' || value->at[0] == '\t')) {
		value->at++;
		value->len--;
	}
	while (value->len && (value->at[value->len - 1] == ' ' || value->at[value->len - 1] == '\t'))
		value->len--;
	return 0;
}

static int note(struct headers *headers, struct part name, struct part value)
{
	if (is(name, "host")) {
		headers->host = value;
		return headers->hosts++ ? -1 : 0;
	}
	if (is(name, "content-length")) {
		if (headers->lengths++ && !is_same(headers->length, value))
			return -1;
		headers->length = value;
	}
	/* Codings before it would not change where the body ends, but servers differ in which they know. */
	if (is(name, "transfer-encoding"))
		return headers->codings++ || !is(value, "chunked") ? -1 : 0;
	if (is(name, "upgrade")) {
		headers->upgrades++;
		headers->websocket = is(value, "websocket");
		headers->http2 = is(value, "h2c");
	}
	return 0;
}

/* Read lines up to the last `behind` bytes. */
static int read_headers(struct part lines, __u32 behind, struct headers *headers)
{
	struct part name, value;

	while (lines.len > behind)
		if (split(take_line(&lines), &name, &value) || note(headers, name, value))
			return -1;
	return 0;
}

int sg_http_trailers(const __u8 *bytes, __u32 len)
{
	struct headers headers = { 0 };

	return !read_headers((struct part){ bytes, len }, 2, &headers) && !headers.hosts && !headers.lengths &&
	       !headers.codings;
}

int sg_http_read_length(const __u8 *digits, __u32 len, __u64 *length)
{
	*length = 0;
	if (!len || len > LENGTH_DIGITS)
		return -1;
	for (__u32 i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return -1;
		*length = *length * 10 + (digits[i] - '0');
	}
	return 0;
}

/* Return the length of a host without its port; -1: it is no host. */
static int host_length(struct part host, int *has_port)
{
	int bracket = host.len && host.at[0] == '[';
	__u32 end = 0, at;

	while (end < host.len && host.at[end] != (bracket ? ']' : ':')) {
		__u8 byte = lower(host.at[end]);
		int is_name = is_capital_or_digit(byte) || (byte >= 'a' && byte <= 'z') || byte == '.';

		if (!is_name && !(bracket ? byte == ':' || byte == '[' : byte == '-' || byte == '_'))
			return -1;
		end++;
	}
	end += (__u32)(bracket && end < host.len);
	if (bracket && (end < 4 || host.at[end - 1] != ']'))
		return -1;
	*has_port = end < host.len;
	for (at = end; at < host.len; at++)
		if (at == end ? host.at[at] != ':' : host.at[at] < '0' || host.at[at] > '9')
			return -1;
	return end && host.at[end - 1] == '.' ? (int)end - 1 : (int)end;
}

int sg_http_set_host(struct sg_http_request *request, const __u8 *at, __u32 size, int is_first, int *has_port)
{
	struct part host = { at, size };
	int len = host_length(host, has_port);

	if (len < 0 || len > SG_HTTP_HOST_MAX)
		return -1;
	if (!is_first)
		return request->host.len == (__u32)len && is((struct part){ host.at, (__u32)len }, request->host.at) ? 0 : -1;
	for (int i = 0; i < len; i++)
		request->host_room[i] = (char)lower(host.at[i]);
	request->host_room[len] = 0;
	request->host = (struct sg_http_text){ request->host_room, (__u32)len };
	return 0;
}

/* Read the path up to the query. */
static int set_path(struct sg_http_request *request, struct part target)
{
	const __u8 *query = memchr(target.at, '?', target.len);

	return sg_http_path(target.at, query ? (__u32)(query - target.at) : target.len, request);
}

/* Take the authority off an absolute target; -1: it is none. */
static int take_authority(struct part *target, struct part *authority)
{
	static const char *const schemes[] = { "http://", "https://" };
	__u32 size = 0;

	for (int i = 0; i < 2; i++) {
		__u32 len = (__u32)strlen(schemes[i]);

		if (target->len > len && is((struct part){ target->at, len }, schemes[i]))
			size = len;
	}
	if (!size)
		return -1;
	*authority = (struct part){ target->at + size, 0 };
	while (size + authority->len < target->len && !strchr("/?", target->at[size + authority->len]))
		authority->len++;
	*target = (struct part){ authority->at + authority->len, target->len - size - authority->len };
	return authority->len ? 0 : -1;
}

/* Read the target, of whichever of its four forms, and the host: the target's counts, and Host must agree. */
static int set_target(struct sg_http_request *request, struct part method, struct part target,
		      const struct headers *headers)
{
	struct part authority = { 0 };
	int has_port;

	request->readings = 0;
	request->host = (struct sg_http_text){ "", 0 };
	if (is(method, "connect")) {
		if (host_length(target, &has_port) <= 0 || !has_port)
			return -1;
		authority = target;
	} else if (target.at[0] != '/' && !(is(target, "*") && is(method, "options")) &&
		   take_authority(&target, &authority)) {
		return -1;
	}
	if (authority.len && sg_http_set_host(request, authority.at, authority.len, 1, &has_port))
		return -1;
	if (headers->hosts &&
	    sg_http_set_host(request, headers->host.at, headers->host.len, !authority.len, &has_port))
		return -1;
	if (is(method, "connect") || is(target, "*"))
		return 0;
	if (target.len && target.at[0] == '/')
		return set_path(request, target);
	return sg_http_path((const __u8 *)"/", 1, request);
}

/* Take the part before the next space off the line; -1: it is empty, or there is none. */
static int take_word(struct part *line, struct part *word, __u8 lowest)
{
	*word = (struct part){ line->at, 0 };
	while (word->len < line->len && word->at[word->len] != ' ') {
		if (word->at[word->len] < lowest || word->at[word->len] == 0x7f || word->at[word->len] == '#')
			return -1;
		word->len++;
	}
	if (!word->len || word->len == line->len)
		return -1;
	line->at += word->len + 1;
	line->len -= word->len + 1;
	return 0;
}

int sg_http_is_method(const __u8 *method, __u32 len)
{
	for (__u32 i = 0; i < len; i++)
		if (!is_capital_or_digit(method[i]) && method[i] != '-' && method[i] != '_')
			return 0;
	return len && len <= SG_HTTP_METHOD_MAX;
}

/* Take the first line off the lines. Returns whether it is HTTP/1.1's, or -1: it is none. */
static int take_request(struct part *lines, struct part *method, struct part *target)
{
	struct part line = take_line(lines);
	int newer;

	if (take_word(&line, method, '-') || !sg_http_is_method(method->at, method->len) || take_word(&line, target, '!'))
		return -1;
	newer = line.len == 8 && !memcmp(line.at, "HTTP/1.1", 8);
	return newer || (line.len == 8 && !memcmp(line.at, "HTTP/1.0", 8)) ? newer : -1;
}

int sg_http_tail(const __u8 *bytes, __u32 len, int is_begin)
{
	/* A line that begins with a space would go on with the one before it. */
	if (is_begin && len && *bytes != '\r' && !is_token(*bytes))
		return 0;
	for (__u32 i = 0; i < len; i++)
		if ((bytes[i] < ' ' && bytes[i] != '\t' && (bytes[i] != '\r' || i + 1 < len)) || bytes[i] == 0x7f)
			return 0;
	return 1;
}

int sg_http_part(const __u8 *bytes, __u32 len, struct sg_http_request *request)
{
	struct part lines = { bytes, len }, method, target;
	struct headers headers = { 0 };
	const __u8 *tail;

	while (lines.len && bytes[lines.len - 1] != '\n')
		lines.len--;
	if (!lines.len)
		return 0;
	tail = bytes + lines.len;
	len -= lines.len;
	if (!sg_http_tail(tail, len, 1))
		return -1;
	if (take_request(&lines, &method, &target) < 0 || read_headers(lines, 0, &headers) ||
	    set_target(request, method, target, &headers))
		return -1;
	request->method = (struct sg_http_text){ (const char *)method.at, method.len };
	request->is_part = 1;
	request->has_host = headers.hosts > 0 || request->host.len;
	request->becomes = SG_HTTP_STAYS;
	request->app = SG_APP_HTTP;
	return 1;
}

int sg_http_head(const __u8 *bytes, __u32 len, struct sg_http_request *request)
{
	struct part lines = { bytes, len }, method, target;
	struct headers headers = { 0 };
	int connects, newer = take_request(&lines, &method, &target);

	if (newer < 0 || read_headers(lines, 2, &headers) || (newer && !headers.hosts) ||
	    set_target(request, method, target, &headers))
		return -1;
	request->method = (struct sg_http_text){ (const char *)method.at, method.len };
	request->is_part = 0;
	request->has_host = 1;
	request->body = 0;
	request->chunked = headers.codings > 0;
	if (headers.lengths && sg_http_read_length(headers.length.at, headers.length.len, &request->body))
		return -1;
	if (request->chunked && (headers.lengths || !newer))
		return -1;
	connects = is(method, "connect");
	if (connects && (request->body || request->chunked))
		return -1;
	request->becomes = connects ? SG_HTTP_TUNNEL : headers.upgrades ? SG_HTTP_OTHER : SG_HTTP_STAYS;
	if (headers.upgrades == 1 && headers.websocket && !connects && !request->body && !request->chunked)
		request->becomes = SG_HTTP_WEBSOCKET;
	if (headers.upgrades == 1 && headers.http2 && !connects)
		request->becomes = SG_HTTP_HTTP2;
	request->app = request->becomes == SG_HTTP_WEBSOCKET ? SG_APP_WEBSOCKET : SG_APP_HTTP;
	return 0;
}
