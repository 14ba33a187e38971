/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Redis: a command as an array of strings is proof; one that is typed in is a guess until the server's answer. Pure. */
#include "apps_line/sg_apps_line.h"
#include "prefix/sg_reader.h"
#include "prefix/sg_text.h"

#define NAME_MAX 32
#define LINE_MAX 2048

/* Without AUTH, which POP3 has too. */
static const char *const typed[] = {
	"PING", "INFO", "GET", "SET", "SELECT", "KEYS", "CONFIG", "DEL", "EXISTS", "INCR", "SCAN", "DBSIZE",
	"CLIENT", "COMMAND", "HELLO", "ECHO", "TTL", "HGETALL", NULL
};

/* Read a number behind its sign, up to CRLF, and go behind that. */
static enum sg_match counted(const __u8 **at, const __u8 *end, __u8 sign, __u32 *value)
{
	__u32 digits;

	if (*at < end && **at != sign)
		return SG_MATCH_NO;
	if (end - *at < 2)
		return SG_MATCH_MORE;
	digits = sg_text_digits(*at + 1, (__u32)(end - *at) - 1);
	if (!digits || digits > 7)
		return SG_MATCH_NO;
	*value = 0;
	for (__u32 i = 1; i <= digits; i++)
		*value = *value * 10 + (*at)[i] - '0';
	*at += 1 + digits;
	return sg_text_begins(*at, (__u32)(end - *at), "\r\n");
}

/* The array of a command: its count, the length of its name, and the name. */
static enum sg_match command(const __u8 *at, const __u8 *end)
{
	__u32 words, size, i;
	enum sg_match match = counted(&at, end, '*', &words);

	if (match != SG_MATCH_CERTAIN)
		return match;
	at += 2;
	match = words ? counted(&at, end, '$', &size) : SG_MATCH_NO;
	if (match != SG_MATCH_CERTAIN)
		return match;
	at += 2;
	if (!size || size > NAME_MAX)
		return SG_MATCH_NO;
	for (i = 0; i < size && at + i < end; i++) {
		__u8 letter = sg_text_upper(at[i]);

		if ((letter < 'A' || letter > 'Z') && letter != '.' && letter != '_' && letter != '-')
			return SG_MATCH_NO;
	}
	return i < size ? SG_MATCH_MORE : sg_text_begins(at + i, (__u32)(end - at) - i, "\r\n");
}

/* An answer that nobody else gives to these commands. */
static enum sg_match answer(const __u8 *at, __u32 len)
{
	static const char *const own[] = { "+PONG\r\n", "+OK\r\n", "-NOAUTH ", "-DENIED ", "-ERR " };
	const __u8 *next = at;
	__u32 value;
	enum sg_match match = SG_MATCH_NO;

	for (int i = 0; i < 5; i++) {
		enum sg_match one = sg_text_begins(at, len, own[i]);

		match = one > match ? one : match;
	}
	for (const char *sign = "$*:"; *sign; sign++) {
		enum sg_match one = counted(&next, at + len, (__u8)*sign, &value);

		match = one > match ? one : match;
	}
	return match;
}

/* A whole line that begins with a command. */
static enum sg_match typed_line(const __u8 *at, __u32 len)
{
	enum sg_match match = sg_text_word(at, len, typed, 1);

	if (match != SG_MATCH_CERTAIN)
		return match;
	if (sg_text_line(at, len < LINE_MAX ? len : LINE_MAX))
		return SG_MATCH_GUESS;
	return len < LINE_MAX ? SG_MATCH_MORE : SG_MATCH_NO;
}

enum sg_match sg_app_redis(const struct sg_prefix *prefix)
{
	const __u8 *at = prefix->data[0];
	__u32 len = prefix->len[0];
	enum sg_match asks = command(at, at + len);

	if (asks != SG_MATCH_NO)
		return asks;
	return sg_match_sides(typed_line(at, len), answer(prefix->data[1], prefix->len[1]));
}
