/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* VNC: the server speaks first, its protocol's name and version in twelve bytes. The client answers with the same.
 * The server may be the initiator. */
#include "apps_desk/sg_apps_desk.h"
#include "prefix/sg_reader.h"

static enum sg_match read_version(const struct sg_prefix *prefix, int side)
{
	struct sg_reader reader = sg_reader(prefix, side);

	sg_expect(&reader, "RFB 00", 6);
	for (int i = 0; i < 5; i++) {
		__u32 byte = (__u32)sg_take(&reader, 1);

		/* Major versions 3 to 5, and any minor one. */
		if (i == 1)
			sg_require(&reader, byte == '.');
		else
			sg_require(&reader, byte >= (i ? '0' : '3') && byte <= (i ? '9' : '5'));
	}
	sg_expect(&reader, "\n", 1);
	return sg_read_as(&reader, SG_MATCH_CERTAIN);
}

enum sg_match sg_app_vnc(const struct sg_prefix *prefix)
{
	enum sg_match initiator = read_version(prefix, 0);
	enum sg_match other = read_version(prefix, 1);

	if (initiator == SG_MATCH_NO || other == SG_MATCH_NO)
		return SG_MATCH_NO;
	return initiator > other ? initiator : other;
}
