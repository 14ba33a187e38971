/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* syslog: a priority in angle brackets, then text: a datagram's, or on TCP a line's or as many bytes as are counted
 * before it. What senders put first of that text is not agreed on, so it is not looked at. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_reader.h"

enum {
	PRIORITY_MOST = 191,
	PRIORITY_DIGITS = 3,
	COUNT_DIGITS = 5,
	COUNT_LEAST = 5,	/* a priority, and something */
};

/* Read a decimal number without zeros before it, and the byte after it. */
static __u32 read_decimal(struct sg_reader *side, __u32 digits, __u8 after)
{
	__u32 value = 0, count = 0, byte;

	for (; sg_fine(side); count++) {
		byte = (__u32)sg_take(side, 1);
		if (byte == after)
			break;
		sg_require(side, byte >= '0' && byte <= '9' && count < digits && (value || !count));
		value = value * 10 + byte - '0';
	}
	sg_require(side, count);
	return value;
}

static int is_end(__u8 byte)
{
	return byte == '\n' || byte == 0;
}

/* Text up to `end`, or to the end of a line if that is before. */
static void read_text(struct sg_reader *side, __u32 end)
{
	__u32 begin = side->at;
	__u8 byte = ' ';

	while (sg_fine(side) && side->at < end && !is_end(byte)) {
		byte = (__u8)sg_take(side, 1);
		sg_require(side, is_end(byte) ? side->at - begin > 1 : byte >= ' ' || byte == '\t' || byte == '\r');
	}
	sg_require(side, side->at > begin);
}

enum sg_match sg_app_syslog(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 end = side.is_whole ? side.len : SG_READER_FAR;

	if (!side.is_whole && sg_need(&side, 1) && side.data[0] != '<') {
		__u32 count = read_decimal(&side, COUNT_DIGITS, ' ');

		sg_require(&side, count >= COUNT_LEAST);
		end = side.at + count;
	}
	sg_expect(&side, "<", 1);
	sg_require(&side, read_decimal(&side, PRIORITY_DIGITS, '>') <= PRIORITY_MOST);
	read_text(&side, end);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
