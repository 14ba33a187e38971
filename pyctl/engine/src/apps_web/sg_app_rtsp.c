/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* RTSP: the request line is proof. An answer without its request is a guess. Pure. */
#include "apps_web/sg_apps_web.h"
#include "apps_web/sg_request_line.h"
#include "prefix/sg_text.h"

static const char *const methods[] = {
	"OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "ANNOUNCE", "RECORD", "REDIRECT",
	"GET_PARAMETER", "SET_PARAMETER", "PLAY_NOTIFY", NULL
};

enum sg_match sg_app_rtsp(const struct sg_prefix *prefix)
{
	const __u8 *at = prefix->data[0];
	__u32 len = prefix->len[0], line = 0;
	enum sg_match match = sg_text_word(at, len, methods, 0), one, two;

	if (!len && sg_status_line(prefix->data[1], prefix->len[1], "RTSP/1.") == SG_MATCH_CERTAIN)
		return SG_MATCH_GUESS;
	if (match != SG_MATCH_CERTAIN)
		return match;
	one = sg_request_line(at, len, "RTSP/1.", &line);
	two = sg_request_line(at, len, "RTSP/2.", &line);
	return one > two ? one : two;
}
