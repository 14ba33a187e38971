/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* MySQL and MariaDB: the server speaks first, a greeting with its version or an error without a state. */
#include "apps_data/sg_apps_data.h"
#include "prefix/sg_reader.h"

enum {
	HEAD = 4,
	PACKET_MOST = 1024,
	LOGIN_MOST = 65535,
	VERSION_10 = 10,
	ERROR = 0xff,
	ERROR_LEAST = 1000,	/* servers' errors of all versions */
	ERROR_MOST = 5000,
	NONCE = 8,		/* the first part of it, in every greeting */
	CAN_LONG_NONCE = 1 << 15,
	CAN_PLUGIN = 1 << 3,	/* of the upper 16 bits */
};

/* The part after the status, which servers have since 4.1. */
static void read_since_4_1(struct sg_reader *side, __u32 low, __u32 end)
{
	__u32 high = (__u32)sg_take_le(side, 2);
	__u32 nonce = (__u32)sg_take(side, 1);

	/* MariaDB has more capabilities in the last four of ten unused bytes. */
	sg_expect_zeros(side, 6);
	sg_skip(side, 4);
	if (low & CAN_LONG_NONCE)
		sg_skip(side, nonce > NONCE + 13 ? nonce - NONCE : 13);
	if (high & CAN_PLUGIN && side->at < end) {
		sg_require(side, nonce == 0 || nonce == 21);
		sg_skip_string(side, 64);
	}
}

static void read_greeting(struct sg_reader *side, __u32 end)
{
	__u32 version = side->at;
	__u32 low;

	sg_require(side, sg_skip_string(side, 255) >= 5);
	if (sg_fine(side))
		sg_require(side, side->data[version] >= '3' && side->data[version] <= '9');
	sg_skip(side, 4 + NONCE);
	sg_expect_zeros(side, 1);
	low = (__u32)sg_take_le(side, 2);
	sg_skip(side, 3);
	/* Of 3.23 and 4.0, nothing but zeros follows. */
	if (end - side->at == 13)
		sg_expect_zeros(side, 13);
	else
		read_since_4_1(side, low, end);
	sg_expect_end(side, end);
}

/* Too many connections, a host that is blocked or unknown: the client has sent nothing yet. */
static void read_error(struct sg_reader *side, __u32 end)
{
	__u32 code = (__u32)sg_take_le(side, 2);

	sg_require(side, code >= ERROR_LEAST && code < ERROR_MOST && end - side->at >= 8);
	if (sg_fine(side))
		sg_skip_text(side, end - side->at);
}

enum sg_match sg_app_mysql(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 1);
	struct sg_reader client = sg_reader(prefix, 0);
	__u32 len, kind;

	len = (__u32)sg_take_le(&side, 3);
	sg_require(&side, len >= 12 && len <= PACKET_MOST);
	sg_expect_zeros(&side, 1);
	kind = (__u32)sg_take(&side, 1);
	sg_require(&side, kind == VERSION_10 || kind == ERROR);
	if (kind == ERROR)
		read_error(&side, HEAD + len);
	else
		read_greeting(&side, HEAD + len);
	/* The client's first packet, a login or a request for TLS, is the second of both. */
	sg_require(&client, sg_take_le(&client, 3) <= LOGIN_MOST);
	sg_require(&client, sg_take(&client, 1) == 1);
	return client.match == SG_MATCH_NO ? SG_MATCH_NO : sg_read_as(&side, SG_MATCH_CERTAIN);
}
