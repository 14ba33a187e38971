/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* HTTP/1: a Content-Length that is negative, or two that differ, in the first head of each side. In: first bytes. Out: threats. */
#include <strings.h>
#include <string.h>

#include "api/sg_threats.h"
#include "payload/sg_payload_protocols.h"

/* What the lengths of a head say. */
struct lengths {
	const __u8 *first;
	__u32 len;
	__u64 found;
};

static int is_space(__u8 c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Take one value, without spaces around it. */
static void take(struct lengths *l, const __u8 *at, const __u8 *end)
{
	while (at < end && is_space(*at))
		at++;
	while (at < end && is_space(end[-1]))
		end--;
	if (at < end && *at == '-')
		l->found |= 1ULL << SG_THREAT_HTTP_NEGATIVE_LENGTH;
	if (!l->first) {
		l->first = at;
		l->len = (__u32)(end - at);
	} else if (l->len != (__u32)(end - at) || memcmp(l->first, at, l->len)) {
		l->found |= 1ULL << SG_THREAT_HTTP_SMUGGLING;
	}
}

static void read_line(struct lengths *l, const __u8 *at, const __u8 *end)
{
	static const char name[] = "content-length";
	const __u8 *comma;

	if ((size_t)(end - at) < sizeof(name) || strncasecmp((const char *)at, name, sizeof(name) - 1))
		return;
	for (at += sizeof(name) - 1; at < end && is_space(*at); at++)
		;
	if (at == end || *at != ':')
		return;
	for (at++; (comma = memchr(at, ',', (size_t)(end - at))); at = comma + 1)
		take(l, at, comma);
	take(l, at, end);
}

/* Read a head. Returns whether more of it is to come. */
static int read_head(const __u8 *at, __u32 len, __u64 *found)
{
	const __u8 *end = at + len, *line;
	struct lengths l = { 0 };
	int more = 1;

	for (; at && at < end && (line = memchr(at, '\n', (size_t)(end - at))); at = line + 1) {
		if (line == at || (line == at + 1 && *at == '\r')) {
			more = 0;
			break;
		}
		read_line(&l, at, line);
	}
	*found |= l.found;
	return more;
}

int sg_payload_http(const struct sg_prefix *prefix, __u64 *found)
{
	int more = 0;

	for (int side = 0; side < 2; side++)
		more |= read_head(prefix->data[side], prefix->len[side], found);
	return more;
}
