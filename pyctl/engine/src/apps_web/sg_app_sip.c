/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SIP: a request line, or an answer's first line, of either side is proof. Pure. */
#include <netinet/in.h>

#include "apps_web/sg_apps_web.h"
#include "apps_web/sg_request_line.h"
#include "prefix/sg_text.h"

static const char *const methods[] = {
	"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO",
	"REFER", "MESSAGE", "UPDATE", NULL
};

static enum sg_match message(const __u8 *at, __u32 len)
{
	__u32 line = 0;
	enum sg_match asks = sg_text_word(at, len, methods, 0), answers = sg_status_line(at, len, "SIP/2.");

	if (asks == SG_MATCH_CERTAIN)
		asks = sg_request_line(at, len, "SIP/2.", &line);
	return asks > answers ? asks : answers;
}

enum sg_match sg_app_sip(const struct sg_prefix *prefix)
{
	enum sg_match match = message(prefix->data[0], prefix->len[0]);

	/* A datagram is all there is. */
	return match == SG_MATCH_MORE && prefix->proto == IPPROTO_UDP && prefix->len[0] ? SG_MATCH_NO : match;
}
