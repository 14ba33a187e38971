/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fields of requests of HTTP/2; see the header. In: fields. Out: a request. Pure. */
#include "http2/sg_http2_head.h"

#include <string.h>

#include "api/sg_apps.h"
#include "http/sg_http_head.h"
#include "http/sg_http_path.h"

/* Pseudo fields, as bits. */
enum { METHOD = 1, SCHEME = 2, AUTHORITY = 4, PATH = 8, PROTOCOL = 16 };

static const struct {
	const char *name;
	__u16 bit;
} pseudo_fields[] = {
	{ ":method", METHOD }, { ":scheme", SCHEME }, { ":authority", AUTHORITY }, { ":path", PATH },
	{ ":protocol", PROTOCOL },
};

static int is(const __u8 *at, __u32 len, const char *text)
{
	return len == strlen(text) && !memcmp(at, text, len);
}

/* The same, whatever the letters' case of the bytes. */
static int begins(const __u8 *at, __u32 len, const char *text)
{
	__u32 size = (__u32)strlen(text);

	if (len < size)
		return 0;
	for (__u32 i = 0; i < size; i++)
		if ((at[i] >= 'A' && at[i] <= 'Z' ? at[i] | 0x20 : at[i]) != (__u8)text[i])
			return 0;
	return 1;
}

/* RFC 9110: a token, without capitals. */
static int is_name(const __u8 *at, __u32 len)
{
	for (__u32 i = 0; i < len; i++) {
		__u8 byte = at[i];

		if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') &&
		    !(byte && strchr("!#$%&'*+-.^_`|~", byte)))
			return 0;
	}
	return len > 0;
}

static int is_value(const __u8 *at, __u32 len)
{
	for (__u32 i = 0; i < len; i++)
		if ((at[i] < ' ' && at[i] != '\t') || at[i] == 0x7f)
			return 0;
	return 1;
}

void sg_http2_head_begin(struct sg_http2_head *head, struct sg_http_request *request)
{
	*head = (struct sg_http2_head){ .request = request };
	request->method = request->host = (struct sg_http_text){ "", 0 };
	request->readings = 0;
	request->body = 0;
	request->chunked = 0;
	request->becomes = SG_HTTP_STAYS;
}

static int take_method(struct sg_http2_head *head, const struct sg_inflate_field *field)
{
	struct sg_http_request *request = head->request;

	if (!sg_http_is_method(field->value, field->value_len))
		return -1;
	memcpy(request->method_room, field->value, field->value_len);
	request->method = (struct sg_http_text){ request->method_room, field->value_len };
	return 0;
}

static int take_path(struct sg_http2_head *head, const struct sg_inflate_field *field)
{
	const __u8 *at = field->value, *query;

	for (__u32 i = 0; i < field->value_len; i++)
		if (at[i] < '!' || at[i] == 0x7f || at[i] == '#')
			return -1;
	head->is_star = is(at, field->value_len, "*");
	if (head->is_star)
		return 0;
	query = memchr(at, '?', field->value_len);
	head->path_len = query ? (__u32)(query - at) : field->value_len;
	if (!head->path_len || head->path_len > SG_HTTP_PATH_MAX)
		return -1;
	memcpy(head->request->path_room, at, head->path_len);
	return 0;
}

/* Of an extended CONNECT and of :scheme. */
static int is_word(const __u8 *at, __u32 len)
{
	for (__u32 i = 0; i < len; i++)
		if (at[i] <= ' ' || at[i] >= 0x7f)
			return 0;
	return len > 0;
}

static int take_pseudo(struct sg_http2_head *head, const struct sg_inflate_field *field)
{
	__u16 bit = 0;
	int has_port;

	for (__u32 i = 0; i < sizeof(pseudo_fields) / sizeof(*pseudo_fields); i++)
		if (is(field->name, field->name_len, pseudo_fields[i].name))
			bit = pseudo_fields[i].bit;
	if (!bit || head->pseudo & bit || head->regular)
		return -1;
	head->pseudo |= bit;
	switch (bit) {
	case METHOD:
		return take_method(head, field);
	case PATH:
		return take_path(head, field);
	case AUTHORITY:
		if (sg_http_set_host(head->request, field->value, field->value_len, 1, &has_port))
			return -1;
		head->has_port = (__u8)has_port;
		return 0;
	default:
		return is_word(field->value, field->value_len) ? 0 : -1;
	}
}

/* Whether only HTTP/1 has it (RFC 9113, 8.2.2). */
static int is_of_connections(const struct sg_inflate_field *field)
{
	static const char *const names[] = {
		"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade",
	};

	for (__u32 i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (is(field->name, field->name_len, names[i]))
			return 1;
	return is(field->name, field->name_len, "te") && !is(field->value, field->value_len, "trailers");
}

static int take_length(struct sg_http2_head *head, const struct sg_inflate_field *field)
{
	__u64 length;

	if (sg_http_read_length(field->value, field->value_len, &length) || (head->has_length && length != head->length))
		return -1;
	head->length = length;
	head->has_length = head->coded = 1;
	return 0;
}

static int take_type(struct sg_http2_head *head, const struct sg_inflate_field *field)
{
	static const char grpc[] = "application/grpc";
	__u32 size = sizeof(grpc) - 1;

	if (head->has_type)
		return -1;
	head->has_type = 1;
	head->is_grpc = begins(field->value, field->value_len, grpc) &&
			(field->value_len == size || strchr("+;", field->value[size]));
	return 0;
}

int sg_http2_head_add(struct sg_http2_head *head, const struct sg_inflate_field *field)
{
	int has_port;

	if (!is_value(field->value, field->value_len))
		return -1;
	if (field->name_len && field->name[0] == ':')
		return take_pseudo(head, field);
	head->regular = 1;
	if (!is_name(field->name, field->name_len) || is_of_connections(field))
		return -1;
	if (is(field->name, field->name_len, "host")) {
		if (head->has_host)
			return -1;
		head->has_host = head->coded = 1;
		return sg_http_set_host(head->request, field->value, field->value_len, !(head->pseudo & AUTHORITY), &has_port);
	}
	if (is(field->name, field->name_len, "content-length"))
		return take_length(head, field);
	return is(field->name, field->name_len, "content-type") ? take_type(head, field) : 0;
}

static __u8 app_of(const struct sg_http2_head *head)
{
	static const char etcd[] = "/etcdserverpb.";

	if (!head->is_grpc)
		return SG_APP_HTTP2;
	return head->path_len > sizeof(etcd) - 1 && !memcmp(head->request->path_room, etcd, sizeof(etcd) - 1) ?
		SG_APP_ETCD : SG_APP_GRPC;
}

int sg_http2_head_end(struct sg_http2_head *head, int ends)
{
	struct sg_http_request *request = head->request;
	int connects = is((const __u8 *)request->method.at, request->method.len, "CONNECT");

	request->app = app_of(head);
	request->is_part = 0;
	request->has_host = 1;
	if (!(head->pseudo & METHOD) || (head->pseudo & PROTOCOL && !connects) || (ends && head->length))
		return -1;
	/* A tunnel has neither scheme nor path (RFC 9113, 8.5); an extended CONNECT has both (RFC 8441). */
	if (connects && !(head->pseudo & PROTOCOL))
		return !(head->pseudo & (SCHEME | PATH)) && head->pseudo & AUTHORITY && request->host.len && head->has_port &&
		       !head->has_length ? 0 : -1;
	if (!(head->pseudo & SCHEME) || !(head->pseudo & PATH) || (connects && !(head->pseudo & AUTHORITY)))
		return -1;
	if (head->is_star)
		return is((const __u8 *)request->method.at, request->method.len, "OPTIONS") ? 0 : -1;
	return sg_http_path((const __u8 *)request->path_room, head->path_len, request);
}

int sg_http2_head_is_trailer(const struct sg_http2_head *head)
{
	return !head->pseudo && !head->coded;
}
