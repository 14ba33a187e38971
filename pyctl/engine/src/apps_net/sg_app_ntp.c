/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* NTP: 48 bytes whose numbers lie in narrow ranges, then extensions or a check of known length. Queries of control
 * are a guess, until the answer has their number. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_reader.h"

enum {
	HEAD = 48,
	CLIENT = 3,
	CONTROL = 6,
	PRIVATE = 7,
	STRATUM_MOST = 16,
	POLL_MOST = 17,
	POLL_LEAST = -7,
	PRECISION_LEAST = -32,
	DELAY_MOST = 16 << 16,	/* seconds, 16 bits after the point */
	CONTROL_HEAD = 12,
	CONTROL_DATA_MOST = 468,
};

/* What comes after the head: nothing, a check (key and digest), or extensions of whole words. */
static int is_tail(__u32 bytes)
{
	return bytes == 0 || bytes == 4 || bytes == 20 || bytes == 24 || (bytes >= 16 && bytes % 4 == 0);
}

static int is_small(__u32 fixed)
{
	return fixed < DELAY_MOST;
}

static enum sg_match read_time(struct sg_reader *side, __u32 mode)
{
	__u32 stratum;
	__s8 poll, precision;

	sg_require(side, side->len >= HEAD && is_tail(side->len - HEAD));
	stratum = (__u32)sg_take(side, 1);
	sg_require(side, stratum <= STRATUM_MOST);
	poll = (__s8)sg_take(side, 1);
	precision = (__s8)sg_take(side, 1);
	sg_require(side, poll >= POLL_LEAST && poll <= POLL_MOST);
	/* Only clients leave everything zero. */
	sg_require(side, mode == CLIENT || stratum || poll);
	/* Some clients say 0, some 32 for "none". */
	sg_require(side, (precision >= PRECISION_LEAST && precision <= 0) || precision == 32);
	sg_require(side, is_small((__u32)sg_take(side, 4)));
	sg_require(side, is_small((__u32)sg_take(side, 4)));
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

/* The head of a control message, and data of the length it says, in whole words. */
static enum sg_match read_control(struct sg_reader *side, __u32 *number)
{
	__u32 operation = (__u32)sg_take(side, 1);
	__u32 data;

	sg_require(side, (operation & 0x7f) < 32);
	*number = (__u32)sg_take(side, 2);
	sg_skip(side, 4);
	sg_expect_zeros(side, 2);
	data = (__u32)sg_take(side, 2);
	sg_require(side, data <= CONTROL_DATA_MOST && side->len >= CONTROL_HEAD + data);
	return sg_read_as(side, SG_MATCH_GUESS);
}

/* The head of a private message: sequence, implementation 2 or 3, a kind of request. */
static enum sg_match read_private(struct sg_reader *side)
{
	__u32 implementation;

	sg_expect_zeros(side, 1);
	implementation = (__u32)sg_take(side, 1);
	sg_require(side, implementation == 2 || implementation == 3);
	sg_require(side, sg_take(side, 1) <= 45);
	sg_require(side, side->len == 8 || side->len >= HEAD);
	return sg_read_as(side, SG_MATCH_GUESS);
}

static enum sg_match read_answer(const struct sg_prefix *prefix, __u32 mode, __u32 number)
{
	struct sg_reader side = sg_reader(prefix, 1);
	__u32 first = (__u32)sg_take(&side, 1);

	if (mode == PRIVATE) {
		sg_require(&side, (first & 0x87) == (0x80 | PRIVATE));
		return sg_read_as(&side, SG_MATCH_CERTAIN);
	}
	sg_require(&side, (first & 7) == mode);
	sg_require(&side, sg_take(&side, 1) & 0x80);
	sg_require(&side, sg_take(&side, 2) == number);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}

enum sg_match sg_app_ntp(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 first, mode, version, number = 0;
	enum sg_match asked;

	first = (__u32)sg_take(&side, 1);
	mode = first & 7;
	version = first >> 3 & 7;
	sg_require(&side, mode && version && version <= 4);
	/* Queries of control have neither a leap second nor the bit of an answer. */
	sg_require(&side, mode < CONTROL || first >> 6 == 0);
	if (mode == CONTROL)
		asked = read_control(&side, &number);
	else if (mode == PRIVATE)
		asked = read_private(&side);
	else
		asked = read_time(&side, mode);
	return sg_match_sides(asked, read_answer(prefix, mode, number));
}
