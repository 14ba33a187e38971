/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* syslog: a priority in angle brackets, then a time as RFC 3164 or RFC 5424 have it. Without a time it is a guess. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_reader.h"

enum {
	PRIORITY_MOST = 191,
	DIGITS_MOST = 3,
	COUNT_DIGITS_MOST = 5,	/* on TCP the message's length may come first */
};

static const char *const months[] = { "Jan ", "Feb ", "Mar ", "Apr ", "May ", "Jun ",
				      "Jul ", "Aug ", "Sep ", "Oct ", "Nov ", "Dec " };

/* Read a decimal number and the byte after it. */
static __u32 read_decimal(struct sg_reader *side, __u32 digits, __u8 after)
{
	__u32 value = 0, byte = 0, count;

	for (count = 0; count <= digits; count++) {
		byte = (__u32)sg_take(side, 1);
		if (byte < '0' || byte > '9')
			break;
		value = value * 10 + byte - '0';
	}
	sg_require(side, count && byte == after);
	return value;
}

/* A pattern: 0 is a digit, _ a digit or a space, all else is itself. */
static void read_pattern(struct sg_reader *side, const char *pattern)
{
	for (; *pattern && sg_fine(side); pattern++) {
		__u8 byte = (__u8)sg_take(side, 1);
		int is_digit = byte >= '0' && byte <= '9';

		if (*pattern == '0')
			sg_require(side, is_digit);
		else if (*pattern == '_')
			sg_require(side, is_digit || byte == ' ');
		else
			sg_require(side, byte == (__u8)*pattern);
	}
}

/* Return what is said of a text that begins with this pattern. */
static enum sg_match begins_with(struct sg_reader side, const char *pattern)
{
	read_pattern(&side, pattern);
	return (enum sg_match)side.match;
}

/* `Mmm dd hh:mm:ss` or `1 yyyy-mm-ddThh:mm:ss` or `1 - `: certain; other text: a guess. */
static enum sg_match read_time(const struct sg_reader *side)
{
	static const char *const since_5424[] = { "1 0000-00-00T00:00:00", "1 - " };
	struct sg_reader month = *side, text = *side;
	enum sg_match found = SG_MATCH_NO, one;

	for (int i = 0; i < 2; i++) {
		one = begins_with(*side, since_5424[i]);
		found = one > found ? one : found;
	}
	for (int i = 0; i < 12; i++) {
		month = *side;
		read_pattern(&month, months[i]);
		if (sg_fine(&month))
			read_pattern(&month, "_0 00:00:00");
		one = (enum sg_match)month.match;
		found = one > found ? one : found;
	}
	if (found != SG_MATCH_NO)
		return found;
	sg_skip_text(&text, 1);
	return sg_read_as(&text, SG_MATCH_GUESS);
}

enum sg_match sg_app_syslog(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);

	if (prefix->proto == IPPROTO_TCP && sg_need(&side, 1) && side.data[0] != '<')
		sg_require(&side, read_decimal(&side, COUNT_DIGITS_MOST, ' ') >= sizeof("<0>1 - - - - - -") - 1);
	sg_expect(&side, "<", 1);
	sg_require(&side, read_decimal(&side, DIGITS_MOST, '>') <= PRIORITY_MOST);
	return sg_fine(&side) ? read_time(&side) : (enum sg_match)side.match;
}
