/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Heads of requests; see the header. In: bytes. Out: a request. Pure. */
#include "http/sg_http_head.h"

#include <string.h>

#include "api/sg_apps.h"
#include "http/sg_http_path.h"
#include "http/sg_http_slice.h"

/* What headers say of a request. */
struct headers {
	struct sg_http_slice host;
	struct sg_http_slice length;
	int hosts;
	int lengths;
	int codings;
	int upgrades;
	int websocket;
	int http2;
	__u8 coding;
	__u8 is_form;
};

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

void sg_http_note_coding(__u8 *coding, struct sg_http_slice value)
{
	struct sg_http_slice item;

	while (!sg_http_take_item(&value, &item)) {
		__u8 found = SG_HTTP_CODED;

		if (!item.len || sg_http_is(item, "identity"))
			continue;
		if (sg_http_is(item, "gzip") || sg_http_is(item, "x-gzip"))
			found = SG_HTTP_GZIP;
		else if (sg_http_is(item, "deflate"))
			found = SG_HTTP_DEFLATE;
		else if (sg_http_is(item, "br"))
			found = SG_HTTP_BROTLI;
		*coding = *coding == SG_HTTP_PLAIN ? found : SG_HTTP_CODED;
	}
}

/* Whether a media type, with parameters or none, is a form's. */
static int is_form(struct sg_http_slice type)
{
	static const char form[] = "application/x-www-form-urlencoded";
	__u32 len = (__u32)sizeof(form) - 1;

	if (type.len > len && strchr(" \t;,", type.at[len]))
		type.len = len;
	return sg_http_is(type, form);
}

static int note(struct headers *headers, struct sg_http_slice name, struct sg_http_slice value)
{
	if (sg_http_is(name, "host")) {
		headers->host = value;
		return headers->hosts++ ? -1 : 0;
	}
	if (sg_http_is(name, "content-length")) {
		if (headers->lengths++ && !sg_http_same(headers->length, value))
			return -1;
		headers->length = value;
	}
	/* Codings before it would not change where the body ends, but servers differ in which they know. */
	if (sg_http_is(name, "transfer-encoding"))
		return headers->codings++ || !sg_http_is(value, "chunked") ? -1 : 0;
	if (sg_http_is(name, "upgrade")) {
		headers->upgrades++;
		headers->websocket = sg_http_is(value, "websocket");
		headers->http2 = sg_http_is(value, "h2c");
	}
	if (sg_http_is(name, "content-encoding"))
		sg_http_note_coding(&headers->coding, value);
	if (sg_http_is(name, "content-type"))
		headers->is_form |= (__u8)is_form(value);
	return 0;
}

/* Read lines up to the last `behind` bytes. */
static int read_headers(struct sg_http_slice lines, __u32 behind, struct headers *headers)
{
	struct sg_http_slice name, value;

	while (lines.len > behind)
		if (sg_http_split(sg_http_take_line(&lines), &name, &value) || note(headers, name, value))
			return -1;
	return 0;
}

int sg_http_trailers(const __u8 *bytes, __u32 len)
{
	struct headers headers = { 0 };

	return !read_headers((struct sg_http_slice){ bytes, len }, 2, &headers) && !headers.hosts && !headers.lengths &&
	       !headers.codings;
}

/* Return the length of a host without its port; -1: it is no host. */
static int host_length(struct sg_http_slice host, int *has_port)
{
	int bracket = host.len && host.at[0] == '[';
	__u32 end = 0, at;

	while (end < host.len && host.at[end] != (bracket ? ']' : ':')) {
		__u8 byte = sg_http_lower(host.at[end]);
		int is_name = sg_http_is_capital_or_digit(byte) || (byte >= 'a' && byte <= 'z') || byte == '.';

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
	struct sg_http_slice host = { at, size };
	int len = host_length(host, has_port);

	if (len < 0 || len > SG_HTTP_HOST_MAX)
		return -1;
	if (!is_first)
		return request->host.len == (__u32)len && sg_http_is((struct sg_http_slice){ host.at, (__u32)len }, request->host.at) ? 0 : -1;
	for (int i = 0; i < len; i++)
		request->host_room[i] = (char)sg_http_lower(host.at[i]);
	request->host_room[len] = 0;
	request->host = (struct sg_http_text){ request->host_room, (__u32)len };
	return 0;
}

/* Read the path up to the query. */
static int set_path(struct sg_http_request *request, struct sg_http_slice target)
{
	const __u8 *query = memchr(target.at, '?', target.len);

	return sg_http_path(target.at, query ? (__u32)(query - target.at) : target.len, request);
}

/* Take the authority off an absolute target; -1: it is none. */
static int take_authority(struct sg_http_slice *target, struct sg_http_slice *authority)
{
	static const char *const schemes[] = { "http://", "https://" };
	__u32 size = 0;

	for (int i = 0; i < 2; i++) {
		__u32 len = (__u32)strlen(schemes[i]);

		if (target->len > len && sg_http_is((struct sg_http_slice){ target->at, len }, schemes[i]))
			size = len;
	}
	if (!size)
		return -1;
	*authority = (struct sg_http_slice){ target->at + size, 0 };
	while (size + authority->len < target->len && !strchr("/?", target->at[size + authority->len]))
		authority->len++;
	*target = (struct sg_http_slice){ authority->at + authority->len, target->len - size - authority->len };
	return authority->len ? 0 : -1;
}

/* Read the target, of whichever of its four forms, and the host: the target's counts, and Host must agree. */
static int set_target(struct sg_http_request *request, struct sg_http_slice method, struct sg_http_slice target,
		      const struct headers *headers)
{
	struct sg_http_slice authority = { 0 };
	int has_port;

	request->readings = 0;
	request->host = (struct sg_http_text){ "", 0 };
	if (sg_http_is(method, "connect")) {
		if (host_length(target, &has_port) <= 0 || !has_port)
			return -1;
		authority = target;
	} else if (target.at[0] != '/' && !(sg_http_is(target, "*") && sg_http_is(method, "options")) &&
		   take_authority(&target, &authority)) {
		return -1;
	}
	if (authority.len && sg_http_set_host(request, authority.at, authority.len, 1, &has_port))
		return -1;
	if (headers->hosts &&
	    sg_http_set_host(request, headers->host.at, headers->host.len, !authority.len, &has_port))
		return -1;
	if (sg_http_is(method, "connect") || sg_http_is(target, "*"))
		return 0;
	if (target.len && target.at[0] == '/')
		return set_path(request, target);
	return sg_http_path((const __u8 *)"/", 1, request);
}

/* Take the part before the next space off the line; -1: it is empty, or there is none. */
static int take_word(struct sg_http_slice *line, struct sg_http_slice *word, __u8 lowest)
{
	*word = (struct sg_http_slice){ line->at, 0 };
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
		if (!sg_http_is_capital_or_digit(method[i]) && method[i] != '-' && method[i] != '_')
			return 0;
	return len && len <= SG_HTTP_METHOD_MAX;
}

/* Take the first line off the lines. Returns whether it is HTTP/1.1's, or -1: it is none. */
static int take_request(struct sg_http_slice *lines, struct sg_http_slice *method, struct sg_http_slice *target)
{
	struct sg_http_slice line = sg_http_take_line(lines);
	int newer;

	if (take_word(&line, method, '-') || !sg_http_is_method(method->at, method->len) || take_word(&line, target, '!'))
		return -1;
	newer = line.len == 8 && !memcmp(line.at, "HTTP/1.1", 8);
	return newer || (line.len == 8 && !memcmp(line.at, "HTTP/1.0", 8)) ? newer : -1;
}

int sg_http_tail(const __u8 *bytes, __u32 len, int is_begin)
{
	/* A line that begins with a space would go on with the one before it. */
	if (is_begin && len && *bytes != '\r' && !sg_http_is_token(*bytes))
		return 0;
	for (__u32 i = 0; i < len; i++)
		if ((bytes[i] < ' ' && bytes[i] != '\t' && (bytes[i] != '\r' || i + 1 < len)) || bytes[i] == 0x7f)
			return 0;
	return 1;
}

int sg_http_part(const __u8 *bytes, __u32 len, struct sg_http_request *request)
{
	struct sg_http_slice lines = { bytes, len }, method, target;
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
	struct sg_http_slice lines = { bytes, len }, method, target;
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
	request->coding = headers.coding;
	request->is_form = headers.is_form;
	if (headers.lengths && sg_http_read_length(headers.length.at, headers.length.len, &request->body))
		return -1;
	if (request->chunked && (headers.lengths || !newer))
		return -1;
	connects = sg_http_is(method, "connect");
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
