/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* WebSocket: an HTTP/1 request that asks for the upgrade (RFC 6455). Pure. */
#include "apps_web/sg_apps_web.h"
#include "apps_web/sg_request_line.h"
#include "prefix/sg_text.h"

enum sg_match sg_app_websocket(const struct sg_prefix *prefix)
{
	const __u8 *at = prefix->data[0], *end = at + prefix->len[0];
	__u32 line = 0;
	enum sg_match match = sg_text_begins(at, prefix->len[0], "GET ");

	if (match == SG_MATCH_CERTAIN)
		match = sg_request_line(at, prefix->len[0], "HTTP/1.", &line);
	if (match != SG_MATCH_CERTAIN)
		return match;
	for (at += line; (line = sg_text_line(at, (__u32)(end - at))); at += line) {
		if (line <= 2)
			return SG_MATCH_NO;
		if (sg_text_begins_any(at, line, "UPGRADE:") == SG_MATCH_CERTAIN &&
		    sg_text_has(at + 8, line - 8, "WEBSOCKET"))
			return SG_MATCH_CERTAIN;
	}
	return SG_MATCH_MORE;
}
