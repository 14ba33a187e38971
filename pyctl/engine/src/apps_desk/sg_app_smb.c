/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SMB 1 to 3 on TCP: a length, a magic number and the head's own size. Over NetBIOS a request for a session comes
 * first. */
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
};

static void read_name(struct sg_reader *side)
{
	sg_require(side, sg_take(side, 1) == NAME);
	for (int i = 0; i < NAME && sg_need(side, 1); i++, side->at++)
		sg_require(side, side->data[side->at] >= 'A' && side->data[side->at] <= 'P');
	/* A scope may follow. */
	sg_skip_string(side, 2 * NAME);
}

enum sg_match sg_app_smb(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 kind, len, magic;

	kind = (__u32)sg_take(&side, 1);
	sg_require(&side, kind == MESSAGE || kind == SESSION);
	len = (__u32)sg_take(&side, 3);
	sg_require(&side, len >= HEAD_1);
	if (kind == SESSION) {
		__u32 end = side.at + len;

		read_name(&side);
		read_name(&side);
		sg_expect_end(&side, end);
		return sg_read_as(&side, SG_MATCH_CERTAIN);
	}
	magic = (__u32)sg_take(&side, 4);
	sg_require(&side, magic == MAGIC_1 || (magic == MAGIC_2 && len >= HEAD_2));
	if (magic == MAGIC_2)
		sg_require(&side, sg_take_le(&side, 2) == HEAD_2);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
