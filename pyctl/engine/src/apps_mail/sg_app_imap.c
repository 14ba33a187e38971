/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* IMAP: the server's greeting is proof, unless the client's first line is no tagged command. Pure. */
#include "apps_mail/sg_apps_mail.h"
#include "apps_mail/sg_greeting.h"
#include "prefix/sg_text.h"

#define TAG_MAX 32

static const char *const commands[] = {
	"CAPABILITY", "LOGIN", "AUTHENTICATE", "STARTTLS", "ID", "NOOP", "LOGOUT", "ENABLE", "NAMESPACE", "SELECT",
	"EXAMINE", "LIST", "LSUB", "STATUS", "COMPRESS", NULL
};

static enum sg_match command(const __u8 *at, __u32 len)
{
	__u32 tag = 0;

	while (tag < len && tag < TAG_MAX && at[tag] > ' ' && at[tag] < 0x7f)
		tag++;
	if (tag == len && tag < TAG_MAX)
		return SG_MATCH_MORE;
	if (!tag || tag == TAG_MAX || at[tag] != ' ')
		return SG_MATCH_NO;
	return sg_text_word(at + tag + 1, len - tag - 1, commands, 1);
}

enum sg_match sg_app_imap(const struct sg_prefix *prefix)
{
	static const char *const greetings[] = { "* OK ", "* PREAUTH ", "* BYE " };
	enum sg_match match = SG_MATCH_NO;
	__u32 line;

	if (command(prefix->data[0], prefix->len[0]) == SG_MATCH_NO)
		return SG_MATCH_NO;
	for (int i = 0; i < 3; i++) {
		enum sg_match one = sg_greeting_line(prefix->data[1], prefix->len[1], greetings[i], &line);

		match = one > match ? one : match;
	}
	return match;
}
