/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* HTTP/1: the request line is proof. An answer without its request is a guess. Pure. */
#include "apps_web/sg_apps_web.h"
#include "apps_web/sg_request_line.h"

enum sg_match sg_app_http(const struct sg_prefix *prefix)
{
	__u32 line = 0;
	enum sg_match asks = sg_request_line(prefix->data[0], prefix->len[0], "HTTP/1.", &line);

	if (asks == SG_MATCH_MORE && !prefix->len[0] &&
	    sg_status_line(prefix->data[1], prefix->len[1], "HTTP/1.") == SG_MATCH_CERTAIN)
		return SG_MATCH_GUESS;
	return asks;
}
