/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SMB 1 to 3 on TCP: a length, a magic number and the head's own size. Over NetBIOS a request for a session comes
 * first, or the message lies in a datagram behind two names. */
#include "apps_desk/sg_apps_desk.h"
#include "prefix/sg_reader.h"

enum {
	MESSAGE = 0x00,
	SESSION = 0x81,
	MAGIC_1 = 0xff534d42,
	MAGIC_2 = 0xfe534d42,
	HEAD_1 = 32,
	HEAD_2 = 64,
	NAME = 32,		/* letters that stand for half-bytes */
	DATAGRAM_LEAST = 0x10,	/* to one, to a group, to all */
	DATAGRAM_MOST = 0x12,
	DATAGRAM_ENDS = 8,	/* bytes of its number and its sender */
};

static void read_name(struct sg_reader *side)
{
	sg_require(side, sg_take(side, 1) == NAME);
	for (int i = 0; i < NAME && sg_need(side, 1); i++, side->at++)
		sg_require(side, side->data[side->at] >= 'A' && side->data[side->at] <= 'P');
	/* A scope may follow. */
	sg_skip_string(side, 2 * NAME);
}

static enum sg_match read_session(struct sg_reader *side, __u32 end)
{
	read_name(side);
	read_name(side);
	sg_expect_end(side, end);
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

static enum sg_match read_message(struct sg_reader *side, __u32 len)
{
	__u32 magic = (__u32)sg_take(side, 4);

	sg_require(side, magic == MAGIC_1 || (magic == MAGIC_2 && len >= HEAD_2));
	if (magic == MAGIC_2)
		sg_require(side, sg_take_le(side, 2) == HEAD_2);
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

/* Flags, numbers, the length of all after it, no offset; then names, and SMB 1. */
static enum sg_match read_datagram(struct sg_reader *side)
{
	__u32 kind = (__u32)sg_take(side, 1);
	__u32 len;

	sg_require(side, kind >= DATAGRAM_LEAST && kind <= DATAGRAM_MOST);
	sg_skip(side, 1 + DATAGRAM_ENDS);
	len = (__u32)sg_take(side, 2);
	sg_expect_zeros(side, 2);
	sg_require(side, len == side->len - side->at);
	read_name(side);
	read_name(side);
	sg_require(side, sg_take(side, 4) == MAGIC_1);
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

enum sg_match sg_app_smb(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 kind, len;

	if (prefix->proto == IPPROTO_UDP)
		return read_datagram(&side);
	kind = (__u32)sg_take(&side, 1);
	sg_require(&side, kind == MESSAGE || kind == SESSION);
	len = (__u32)sg_take(&side, 3);
	sg_require(&side, len >= HEAD_1);
	return kind == SESSION ? read_session(&side, side.at + len) : read_message(&side, len);
}
