/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* NATS: the server's INFO with its id, or any INFO with CONNECT after it, is proof. Pure.
 * A client that says INFO or PING first is Redis's. */
#include "apps_line/sg_apps_line.h"
#include "prefix/sg_text.h"

enum sg_match sg_app_nats(const struct sg_prefix *prefix)
{
	const __u8 *at = prefix->data[1];
	__u32 line = sg_text_line(at, prefix->len[1]);
	enum sg_match info = sg_text_begins(at, prefix->len[1], "INFO {");
	enum sg_match asks = sg_text_begins(prefix->data[0], prefix->len[0], "CONNECT {");

	if (info == SG_MATCH_NO || asks == SG_MATCH_NO)
		return SG_MATCH_NO;
	if (info == SG_MATCH_MORE || !line)
		return SG_MATCH_MORE;
	if (asks == SG_MATCH_CERTAIN || sg_text_has(at, line, "\"SERVER_ID\""))
		return SG_MATCH_CERTAIN;
	return SG_MATCH_GUESS;
}
