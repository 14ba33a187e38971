/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Elasticsearch: HTTP/1 whose first request says that an Elasticsearch client asks, and whose first answer names the product.
 * Before that answer it is a guess. A client that does not say so speaks HTTP, whatever the server is. Pure. */
#include "apps_web/sg_apps_web.h"
#include "apps_web/sg_request_line.h"
#include "prefix/sg_text.h"

/* Say whether a header that begins so, and has this text, is in the head whose first line is over; MORE: its end is not there. */
static enum sg_match find(const __u8 *at, __u32 len, const char *name, const char *value)
{
	__u32 size = (__u32)strlen(name), line;

	for (; (line = sg_text_line(at, len)); at += line, len -= line) {
		if (line <= 2)
			return SG_MATCH_NO;
		if (sg_text_begins_any(at, line, name) == SG_MATCH_CERTAIN && sg_text_has(at + size, line - size, value))
			return SG_MATCH_CERTAIN;
	}
	return SG_MATCH_MORE;
}

/* The official clients send the first; the others' media types are of no other product. */
static enum sg_match asks(const __u8 *at, __u32 len)
{
	static const char *const signs[][2] = {
		{ "X-ELASTIC-CLIENT-META:", "ES=" }, { "ACCEPT:", "APPLICATION/VND.ELASTICSEARCH+" },
		{ "CONTENT-TYPE:", "APPLICATION/VND.ELASTICSEARCH+" },
	};
	enum sg_match best = SG_MATCH_NO;

	for (__u32 i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
		enum sg_match match = find(at, len, signs[i][0], signs[i][1]);

		best = match > best ? match : best;
	}
	return best;
}

enum sg_match sg_app_elasticsearch(const struct sg_prefix *prefix)
{
	const __u8 *at = prefix->data[1];
	__u32 len = prefix->len[1], line = 0;
	enum sg_match match = sg_request_line(prefix->data[0], prefix->len[0], "HTTP/1.", &line);

	if (match == SG_MATCH_CERTAIN)
		match = asks(prefix->data[0] + line, prefix->len[0] - line);
	if (match != SG_MATCH_CERTAIN)
		return match;
	match = len ? sg_status_line(at, len, "HTTP/1.") : SG_MATCH_MORE;
	line = len ? sg_text_line(at, len) : 0;
	if (match == SG_MATCH_CERTAIN)
		match = line ? find(at + line, len - line, "X-ELASTIC-PRODUCT:", "ELASTICSEARCH") : SG_MATCH_MORE;
	return match == SG_MATCH_MORE ? SG_MATCH_GUESS : match;
}
