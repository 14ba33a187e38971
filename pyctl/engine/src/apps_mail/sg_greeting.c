/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Greetings of servers; see the header. In: bytes. Out: a match. Pure. */
#include "apps_mail/sg_greeting.h"
#include "prefix/sg_text.h"

#define LINE_MAX 1024

enum sg_match sg_greeting_line(const __u8 *at, __u32 len, const char *begins, __u32 *line)
{
	enum sg_match match = sg_text_begins(at, len, begins);

	*line = 0;
	if (match != SG_MATCH_CERTAIN)
		return match;
	*line = sg_text_line(at, len < LINE_MAX ? len : LINE_MAX);
	if (!*line)
		return len < LINE_MAX ? SG_MATCH_MORE : SG_MATCH_NO;
	for (__u32 i = 0; i < *line; i++) {
		if (at[i] < ' ' && at[i] != '\t' && at[i] != '\r' && at[i] != '\n')
			return SG_MATCH_NO;
	}
	return SG_MATCH_CERTAIN;
}

enum sg_match sg_greeting_220(const struct sg_prefix *prefix, const char *name, const char *other,
			      const char *const *commands, const char *const *shared)
{
	const __u8 *banner = prefix->data[1];
	__u32 line;
	enum sg_match match = sg_greeting_line(banner, prefix->len[1], "220", &line);
	enum sg_match asks = sg_text_word(prefix->data[0], prefix->len[0], commands, 1);
	int names;

	if (match == SG_MATCH_NO ||
	    (asks == SG_MATCH_NO && sg_text_word(prefix->data[0], prefix->len[0], shared, 1) == SG_MATCH_NO))
		return SG_MATCH_NO;
	if (match == SG_MATCH_MORE)
		return asks == SG_MATCH_CERTAIN && !prefix->len[1] ? SG_MATCH_GUESS : SG_MATCH_MORE;
	if (banner[3] != ' ' && banner[3] != '-')
		return SG_MATCH_NO;
	names = sg_text_has(banner, line, name) - sg_text_has(banner, line, other);
	if (names > 0 || asks == SG_MATCH_CERTAIN)
		return SG_MATCH_CERTAIN;
	return names < 0 ? SG_MATCH_MORE : SG_MATCH_GUESS;
}
