/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* BitTorrent: the handshake among peers; on UDP a tracker's magic number, a DHT's dictionary, or a first packet of
 * uTP, which is a guess until the answer has its numbers. */
#include "apps_desk/sg_apps_desk.h"
#include "prefix/sg_reader.h"

enum {
	UTP_SYN = 0x41,		/* kind 4, version 1 */
	UTP_STATE = 0x21,
	TRACKER_MAGIC_HIGH = 0x417,
	TRACKER_MAGIC_LOW = 0x27101980,
	DEPTH_MOST = 4,
	DIGITS_MOST = 4,
};

static enum sg_match read_handshake(struct sg_reader side)
{
	sg_expect(&side, "\x13" "BitTorrent protocol", 20);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}

static enum sg_match read_tracker(struct sg_reader side)
{
	sg_require(&side, sg_take(&side, 4) == TRACKER_MAGIC_HIGH);
	sg_require(&side, sg_take(&side, 4) == TRACKER_MAGIC_LOW);
	sg_expect_zeros(&side, 4);
	sg_skip(&side, 4);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}

static enum sg_match read_local(struct sg_reader side)
{
	sg_expect(&side, "BT-SEARCH * HTTP/1.1\r\n", 22);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}

/* Digits up to this byte; what they say. */
static __u32 read_digits(struct sg_reader *side, __u8 after)
{
	__u32 value = 0;

	for (int count = 0; sg_need(side, 1); count++) {
		__u8 byte = side->data[side->at++];

		if (byte == after)
			break;
		sg_require(side, byte >= '0' && byte <= '9' && count < DIGITS_MOST);
		value = value * 10 + byte - '0';
	}
	return value;
}

/* One part of a bencoded value: a number, a text, or the begin or end of a list or dictionary. Return the new depth. */
static int read_part(struct sg_reader *side, int depth)
{
	__u8 byte = sg_need(side, 1) ? side->data[side->at] : 0;

	if (byte == 'e' || byte == 'd' || byte == 'l') {
		side->at++;
		depth += byte == 'e' ? -1 : 1;
		sg_require(side, depth <= DEPTH_MOST);
	} else if (byte == 'i') {
		side->at++;
		while (sg_need(side, 1) && side->data[side->at++] != 'e')
			;
	} else {
		sg_skip(side, read_digits(side, ':'));
	}
	return depth;
}

/* A dictionary to the last byte, which begins with a node's arguments, values or error, and names its kind. */
static enum sg_match read_dht(struct sg_reader side)
{
	int depth = 0, has_kind = 0;
	__u32 begin;

	do {
		begin = side.at;
		depth = read_part(&side, depth);
		has_kind |= depth == 1 && sg_was(&side, begin, "1:y");
	} while (sg_fine(&side) && depth > 0);
	sg_require(&side, has_kind && side.at == side.len);
	sg_require(&side, sg_was(&side, 0, "d1:") || sg_was(&side, 0, "d2:ip"));
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}

/* The first packet knows no delay and acknowledges nothing; the answer acknowledges it. */
static enum sg_match read_utp(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	struct sg_reader other = sg_reader(prefix, 1);
	__u32 connection, number;

	sg_require(&side, sg_take(&side, 1) == UTP_SYN);
	sg_require(&side, sg_take(&side, 1) <= 3);
	connection = (__u32)sg_take(&side, 2);
	sg_skip(&side, 4);
	sg_expect_zeros(&side, 4);
	sg_skip(&side, 4);
	number = (__u32)sg_take(&side, 2);
	sg_expect_zeros(&side, 2);
	sg_require(&other, sg_take(&other, 1) == UTP_STATE);
	sg_skip(&other, 1);
	sg_require(&other, sg_take(&other, 2) == connection);
	sg_skip(&other, 14);
	sg_require(&other, sg_take(&other, 2) == number);
	return sg_match_sides(sg_read_as(&side, SG_MATCH_GUESS), (enum sg_match)other.match);
}

enum sg_match sg_app_bittorrent(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	enum sg_match (*const kinds[])(struct sg_reader) = { read_tracker, read_local, read_dht };
	enum sg_match found;

	if (prefix->proto == IPPROTO_TCP)
		return read_handshake(side);
	found = read_utp(prefix);
	for (int i = 0; i < 3; i++) {
		enum sg_match one = kinds[i](side);

		found = one > found ? one : found;
	}
	return found;
}
