/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TDS (Microsoft SQL Server): the client begins with a PRELOGIN, or before version 7.2 with a LOGIN. */
#include "apps_data/sg_apps_data.h"
#include "prefix/sg_reader.h"

enum {
	HEAD = 8,
	PRELOGIN = 0x12,
	LOGIN = 0x10,
	LAST_PACKET = 1,	/* status */
	PACKET_MOST = 32767,
	OPTION = 5,		/* bytes of an option's head */
	OPTION_MOST = 9,
	OPTIONS_END = 0xff,
};

/* Heads of options: a number, where its data is and how long. The first is the version. The data follow in this
 * order. */
static void read_options(struct sg_reader *side, __u32 len)
{
	__u32 used = 0, count = 0, token, offset, bytes, first = 0;

	for (; sg_fine(side); count++) {
		token = (__u32)sg_take(side, 1);
		if (token == OPTIONS_END)
			break;
		sg_require(side, count ? token && token <= OPTION_MOST : token == 0);
		offset = (__u32)sg_take(side, 2);
		bytes = (__u32)sg_take(side, 2);
		if (!count)
			first = used = offset;
		sg_require(side, count || bytes == 6);
		sg_require(side, offset == used && offset + bytes <= len);
		used += bytes;
	}
	sg_require(side, first == count * OPTION + 1);
}

/* The login's own length, which is the rest's, and the version. */
static void read_login(struct sg_reader *side, __u32 len)
{
	__u32 version;

	sg_require(side, sg_take_le(side, 4) == len);
	version = (__u32)sg_take_le(side, 4);
	sg_require(side, version >> 24 >= 0x70 && version >> 24 <= 0x74);
	/* Packet sizes that exist. */
	sg_require(side, sg_take_le(side, 4) <= PACKET_MOST + 1);
}

enum sg_match sg_app_tds(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 kind, len;

	kind = (__u32)sg_take(&side, 1);
	sg_require(&side, kind == PRELOGIN || kind == LOGIN);
	sg_require(&side, sg_take(&side, 1) == LAST_PACKET);
	len = (__u32)sg_take(&side, 2);
	sg_require(&side, len >= HEAD + 12 && len <= PACKET_MOST);
	/* The process, the packet's number and the window: the first packet of a client. */
	sg_expect_zeros(&side, 2);
	sg_require(&side, sg_take(&side, 1) <= 1);
	sg_expect_zeros(&side, 1);
	if (kind == PRELOGIN)
		read_options(&side, len - HEAD);
	else
		read_login(&side, len - HEAD);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
