/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TNS (Oracle): the client begins with a CONNECT packet and its descriptor, which is text in parentheses. */
#include "apps_data/sg_apps_data.h"
#include "prefix/sg_reader.h"

enum {
	CONNECT = 1,
	VERSION_LEAST = 300,
	VERSION_MOST = 330,
	HEAD_LEAST = 34,	/* before versions had more fields between it and the data */
	HEAD_MOST = 90,
	SDU_LEAST = 255,
};

enum sg_match sg_app_tns(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 len, version, one, bytes, offset;

	len = (__u32)sg_take(&side, 2);
	sg_require(&side, len >= HEAD_LEAST);
	sg_expect_zeros(&side, 2);
	sg_require(&side, sg_take(&side, 1) == CONNECT);
	sg_skip(&side, 1);
	sg_expect_zeros(&side, 2);
	version = (__u32)sg_take(&side, 2);
	sg_require(&side, version >= VERSION_LEAST && version <= VERSION_MOST);
	sg_require(&side, sg_take(&side, 2) <= version);
	sg_skip(&side, 2);
	sg_require(&side, sg_take(&side, 2) >= SDU_LEAST);
	sg_require(&side, sg_take(&side, 2) >= SDU_LEAST);
	sg_skip(&side, 4);
	/* The number 1 in the client's byte order. */
	one = (__u32)sg_take(&side, 2);
	sg_require(&side, one == 0x0001 || one == 0x0100);
	bytes = (__u32)sg_take(&side, 2);
	offset = (__u32)sg_take(&side, 2);
	sg_require(&side, bytes && offset >= HEAD_LEAST && offset <= HEAD_MOST);
	/* Long data come in the next packet. */
	sg_require(&side, len == offset || len == offset + bytes);
	if (sg_fine(&side) && len != offset) {
		sg_skip(&side, offset - side.at);
		sg_expect(&side, "(", 1);
	}
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
