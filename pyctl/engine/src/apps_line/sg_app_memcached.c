/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Memcached: a text command that Redis has not, or a whole head of the binary form, is proof; another command needs the
 * server's answer. Pure. */
#include <netinet/in.h>

#include "apps_line/sg_apps_line.h"
#include "base/sg_bytes.h"
#include "prefix/sg_text.h"

#define LINE_MAX 2048
#define BINARY_HEAD 24
#define DATAGRAM_HEAD 8
#define KEY_MAX 250

struct side {
	const __u8 *at;
	__u32 len;
};

/* Words of the first line behind the command, and how many of the last ones are numbers. */
struct line {
	__u32 words;
	__u32 numbers;
};

static struct line count(const __u8 *at, __u32 len)
{
	struct line line = { 0, 0 };

	for (__u32 i = 0; i < len;) {
		__u32 size = 0;

		while (i + size < len && at[i + size] > ' ')
			size++;
		if (size) {
			line.words++;
			line.numbers = sg_text_digits(at + i, size) == size ? line.numbers + 1 : 0;
		}
		i += size ? size : 1;
	}
	return line;
}

static const struct {
	const char *word;
	__u32 least;		/* words behind it */
	__u32 numbers;		/* so many of them at the end, but for "noreply" */
	enum sg_match proof;
} commands[] = {
	{ "set", 4, 3, SG_MATCH_CERTAIN }, { "add", 4, 3, SG_MATCH_CERTAIN }, { "replace", 4, 3, SG_MATCH_CERTAIN },
	{ "append", 4, 3, SG_MATCH_CERTAIN }, { "prepend", 4, 3, SG_MATCH_CERTAIN }, { "cas", 5, 4, SG_MATCH_CERTAIN },
	{ "gets", 1, 0, SG_MATCH_CERTAIN }, { "gat", 2, 0, SG_MATCH_CERTAIN }, { "gats", 2, 0, SG_MATCH_CERTAIN },
	{ "stats", 0, 0, SG_MATCH_CERTAIN }, { "version", 0, 0, SG_MATCH_CERTAIN },
	{ "flush_all", 0, 0, SG_MATCH_CERTAIN }, { "verbosity", 1, 1, SG_MATCH_CERTAIN },
	{ "get", 1, 0, SG_MATCH_GUESS }, { "delete", 1, 0, SG_MATCH_GUESS }, { "touch", 2, 1, SG_MATCH_GUESS },
	{ "incr", 2, 1, SG_MATCH_GUESS }, { "decr", 2, 1, SG_MATCH_GUESS }, { "mg", 1, 0, SG_MATCH_GUESS },
	{ "ms", 2, 0, SG_MATCH_GUESS }, { "md", 1, 0, SG_MATCH_GUESS }, { "ma", 1, 0, SG_MATCH_GUESS },
	{ "mn", 0, 0, SG_MATCH_GUESS }, { "me", 1, 0, SG_MATCH_GUESS },
};

/* The first line, if it is a whole one, as the command of that row. */
static enum sg_match as_command(const __u8 *at, __u32 line, __u32 row)
{
	static const char noreply[] = " noreply\r\n";
	__u32 size = sizeof(noreply) - 1;
	struct line rest;

	if (at[line - 2] != '\r')
		return SG_MATCH_NO;
	if (line > size && !memcmp(at + line - size, noreply, size))
		line -= size;
	rest = count(at, line);
	if (rest.words <= commands[row].least || rest.numbers < commands[row].numbers)
		return SG_MATCH_NO;
	return commands[row].proof;
}

static enum sg_match text(const __u8 *at, __u32 len)
{
	enum sg_match best = SG_MATCH_NO;

	for (__u32 i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		const char *one[] = { commands[i].word, NULL };
		enum sg_match match = *one[0] == at[0] ? sg_text_word(at, len, one, 0) : SG_MATCH_NO;
		__u32 line;

		if (match == SG_MATCH_CERTAIN) {
			line = sg_text_line(at, len < LINE_MAX ? len : LINE_MAX);
			if (line)
				return as_command(at, line, i);
			return len < LINE_MAX ? SG_MATCH_MORE : SG_MATCH_NO;
		}
		best = match > best ? match : best;
	}
	return best;
}

/* First words of answers to a text command. */
static const char *const answers_are[] = {
	"VALUE", "END", "STORED", "NOT_STORED", "EXISTS", "NOT_FOUND", "DELETED", "TOUCHED", "ERROR", "CLIENT_ERROR",
	"SERVER_ERROR", "HD", "VA", "EN", "NS", "MN", "ME", NULL
};

/* The head of a request: what it carries fits its operation; no status, bucket or data type. */
static enum sg_match binary(const __u8 *at, __u32 len)
{
	/* Bytes of extras of operations 0 to 0x1e. */
	static const __u8 extras[] = { 0, 8, 8, 8, 0, 20, 20, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 0, 20, 20, 0, 4, 0, 0,
				       4, 4, 4, 4 };
	__u32 key, body;

	if (at[0] != 0x80 || (len > 1 && at[1] >= sizeof(extras)) ||
	    (len > 4 && at[4] != extras[at[1]] && !(at[1] == 8 && !at[4])) || (len > 5 && at[5]))
		return SG_MATCH_NO;
	if (len < BINARY_HEAD)
		return SG_MATCH_MORE;
	key = sg_get16(at + 2);
	body = sg_get32(at + 8);
	if (key > KEY_MAX || sg_get16(at + 6) || body < key + at[4] || body > 1U << 20 || (at[4] == 8 && !key))
		return SG_MATCH_NO;
	return SG_MATCH_CERTAIN;
}

/* A datagram has its number and count before the text. */
static struct side behind_head(const struct sg_prefix *prefix, int side)
{
	struct side found = { prefix->data[side], prefix->len[side] };

	if (prefix->proto == IPPROTO_UDP) {
		int is_head = found.len > DATAGRAM_HEAD && !sg_get16(found.at + 2) && sg_get16(found.at + 4) &&
			      !sg_get16(found.at + 6);

		found.at += is_head ? DATAGRAM_HEAD : 0;
		found.len = is_head ? found.len - DATAGRAM_HEAD : 0;
	}
	return found;
}

enum sg_match sg_app_memcached(const struct sg_prefix *prefix)
{
	struct side asks = behind_head(prefix, 0), answers = behind_head(prefix, 1);
	enum sg_match match;

	if (!asks.len)
		return prefix->len[0] ? SG_MATCH_NO : SG_MATCH_MORE;
	if (asks.at[0] == 0x80)
		return binary(asks.at, asks.len);
	match = text(asks.at, asks.len);
	if (match == SG_MATCH_MORE && prefix->proto == IPPROTO_UDP)
		return SG_MATCH_NO;
	if (match == SG_MATCH_GUESS && answers.len) {
		enum sg_match answered = sg_text_word(answers.at, answers.len, answers_are, 0);

		return answered == SG_MATCH_MORE ? SG_MATCH_GUESS : answered;
	}
	return match;
}
