/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* RDP: the client asks for a connection of X.224 with a cookie or a choice of security. Without either it is a
 * guess, as other protocols begin so: until its next message is T.125's. */
#include "apps_desk/sg_apps_desk.h"
#include "prefix/sg_reader.h"

enum {
	TPKT = 3,
	TPKT_HEAD = 4,
	CONNECT = 0xe0,
	CONNECT_HEAD = 7,	/* with its length */
	NEGOTIATE = 1,
	NEGOTIATE_BYTES = 8,
	CORRELATION = 6,
	CORRELATION_BYTES = 36,
	FLAGS = 0x0b,
	PROTOCOLS = 0x1f,
	T125_CONNECT = 0x7f65,
	COOKIE_MOST = 255,
	UDP_SYN = 1,
	UDP_NUMBER = 0xffffffff,	/* acknowledges nothing */
	UDP_LEAST = 1132,	/* datagrams that open a connection are filled up with zeros */
	UDP_MOST = 1232,
};

/* Flags, the length, protocols; then perhaps a number of the connection. */
static void read_negotiate(struct sg_reader *side, __u32 end)
{
	__u32 flags;

	sg_require(side, sg_take(side, 1) == NEGOTIATE);
	flags = (__u32)sg_take(side, 1);
	sg_require(side, (flags & ~(__u32)FLAGS) == 0);
	sg_require(side, sg_take_le(side, 2) == NEGOTIATE_BYTES);
	sg_require(side, sg_take_le(side, 4) <= PROTOCOLS);
	if (flags & 8) {
		sg_require(side, sg_take(side, 1) == CORRELATION);
		sg_skip(side, CORRELATION_BYTES - 1);
	}
	sg_expect_end(side, end);
}

/* `Cookie: ` and a line. */
static void read_cookie(struct sg_reader *side)
{
	__u32 begin = side->at;

	sg_expect(side, "Cookie: ", 8);
	while (sg_need(side, 1) && side->data[side->at] != '\r') {
		sg_require(side, side->at - begin < COOKIE_MOST);
		sg_skip_text(side, 1);
	}
	sg_expect(side, "\r\n", 2);
}

/* A request without anything: certain if the next message carries T.125's first. */
static enum sg_match read_next(struct sg_reader *side)
{
	struct sg_reader next = *side;

	sg_expect(&next, "\x03\x00", 2);
	sg_skip(&next, 2);
	sg_expect(&next, "\x02\xf0\x80", 3);
	sg_require(&next, sg_take(&next, 2) == T125_CONNECT);
	return sg_fine(&next) ? SG_MATCH_CERTAIN : SG_MATCH_GUESS;
}

/* RDP-UDP: flags, and the largest datagrams of both ways. */
static enum sg_match read_datagram(struct sg_reader *side)
{
	__u32 up, down;

	sg_require(side, sg_take(side, 4) == UDP_NUMBER);
	sg_skip(side, 2);
	sg_require(side, sg_take(side, 2) & UDP_SYN);
	sg_skip(side, 4);
	up = (__u32)sg_take(side, 2);
	down = (__u32)sg_take(side, 2);
	sg_require(side, up >= UDP_LEAST && up <= UDP_MOST && down >= UDP_LEAST && down <= UDP_MOST);
	sg_require(side, side->len >= UDP_LEAST && side->len <= UDP_MOST);
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

enum sg_match sg_app_rdp(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 end;

	if (prefix->proto == IPPROTO_UDP)
		return read_datagram(&side);
	sg_require(&side, sg_take(&side, 1) == TPKT);
	sg_expect_zeros(&side, 1);
	end = (__u32)sg_take(&side, 2);
	sg_require(&side, end >= TPKT_HEAD + CONNECT_HEAD && end <= 512);
	sg_require(&side, sg_take(&side, 1) == end - TPKT_HEAD - 1);
	sg_require(&side, sg_take(&side, 1) == CONNECT);
	/* Nobody's number, the client's, and class 0. */
	sg_expect_zeros(&side, 2);
	sg_skip(&side, 2);
	sg_expect_zeros(&side, 1);
	if (sg_fine(&side) && side.at == end)
		return read_next(&side);
	if (sg_need(&side, 1) && side.data[side.at] == 'C')
		read_cookie(&side);
	if (sg_fine(&side) && side.at < end)
		read_negotiate(&side, end);
	sg_expect_end(&side, end);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
