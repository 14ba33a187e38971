/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* POP3: the server's greeting is proof if it says more than +OK, which others answer, too; else the client's command
 * after it. Pure. */
#include "apps_mail/sg_apps_mail.h"
#include "apps_mail/sg_greeting.h"
#include "prefix/sg_text.h"

static const char *const commands[] = {
	"USER", "APOP", "AUTH", "CAPA", "STLS", "QUIT", "NOOP", "UTF8", NULL
};

enum sg_match sg_app_pop3(const struct sg_prefix *prefix)
{
	__u32 line;
	enum sg_match match = sg_greeting_line(prefix->data[1], prefix->len[1], "+OK", &line);
	enum sg_match asks = sg_text_word(prefix->data[0], prefix->len[0], commands, 1);

	if (match == SG_MATCH_NO || asks == SG_MATCH_NO)
		return SG_MATCH_NO;
	if (match == SG_MATCH_MORE)
		return SG_MATCH_MORE;
	if (prefix->data[1][3] != ' ' && prefix->data[1][3] != '\r')
		return SG_MATCH_NO;
	return line > sizeof("+OK \r\n") - 1 ? SG_MATCH_CERTAIN : SG_MATCH_GUESS;
}
