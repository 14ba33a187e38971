/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* DHCP: a head of fixed length with its magic number and options, one of which is the kind. Of version 6, options
 * alone. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_reader.h"

enum {
	MAGIC = 0x63825363,
	ADDRESS_MOST = 16,
	BEFORE_MAGIC = 232,	/* bytes after operation, type, length of address and hops */
	PAD = 0,
	KIND = 53,
	END = 255,
	KIND_MOST = 18,
	V6_KIND_MOST = 11,
	V6_CLIENT = 1,
	DUID_MOST = 130,
};

static enum sg_match read_v4(struct sg_reader *side)
{
	__u32 operation = (__u32)sg_take(side, 1);
	__u32 option = PAD, len, kind = 0;

	sg_require(side, operation == 1 || operation == 2);
	sg_skip(side, 1);
	sg_require(side, sg_take(side, 1) <= ADDRESS_MOST);
	sg_skip(side, 1 + BEFORE_MAGIC);
	sg_require(side, sg_take(side, 4) == MAGIC);
	while (sg_fine(side) && option != END) {
		option = (__u32)sg_take(side, 1);
		if (option == PAD || option == END)
			continue;
		len = (__u32)sg_take(side, 1);
		if (option == KIND && len == 1)
			kind = (__u32)sg_take(side, 1);
		else
			sg_skip(side, len);
	}
	sg_require(side, kind && kind <= KIND_MOST);
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

/* Options to the last byte; the client's identifier has a kind that exists. */
static enum sg_match read_v6(struct sg_reader *side)
{
	__u32 kind = (__u32)sg_take(side, 1);
	int has_client = 0;

	sg_require(side, kind && kind <= V6_KIND_MOST);
	sg_skip(side, 3);
	while (sg_fine(side) && side->at < side->len) {
		__u32 option = (__u32)sg_take(side, 2);
		__u32 len = (__u32)sg_take(side, 2);

		if (option == V6_CLIENT) {
			__u32 duid = (__u32)sg_take(side, 2);

			sg_require(side, len >= 4 && len <= DUID_MOST && duid && duid <= 4);
			len -= 2;
			has_client = 1;
		}
		sg_skip(side, len);
	}
	sg_require(side, has_client);
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

enum sg_match sg_app_dhcp(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	struct sg_reader again = side;
	enum sg_match found = read_v4(&side);

	return found == SG_MATCH_NO ? read_v6(&again) : found;
}
