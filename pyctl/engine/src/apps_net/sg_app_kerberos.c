/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Kerberos: a request whose tag, version and kind agree, on TCP after its length. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_ber.h"

enum {
	SEQUENCE = 0x30,
	INTEGER = 0x02,
	VERSION_FIELD = 0xa1,
	KIND_FIELD = 0xa2,
	VERSION = 5,
	APPLICATION = 0x60,
	AS_REQUEST = 10,
	TGS_REQUEST = 12,
	MESSAGE_MOST = 1 << 20,
};

/* A number in a field of its own. */
static __u32 read_field(struct sg_reader *side, __u8 tag, __u32 outer)
{
	__u32 end = sg_ber_enter(side, tag, outer);
	__u32 value = sg_ber_number(side, INTEGER, end);

	sg_expect_end(side, end);
	return value;
}

enum sg_match sg_app_kerberos(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 end = side.len, kind, inner;

	if (prefix->proto == IPPROTO_TCP) {
		__u32 len = (__u32)sg_take(&side, 4);

		sg_require(&side, len >= 16 && len <= MESSAGE_MOST);
		end = side.at + len;
	}
	if (!sg_need(&side, 1))
		return (enum sg_match)side.match;
	kind = side.data[side.at] ^ APPLICATION;
	sg_require(&side, kind == AS_REQUEST || kind == TGS_REQUEST);
	inner = sg_ber_enter(&side, (__u8)(kind | APPLICATION), end);
	sg_require(&side, inner == end);
	sg_require(&side, sg_ber_enter(&side, SEQUENCE, end) == end);
	sg_require(&side, read_field(&side, VERSION_FIELD, end) == VERSION);
	sg_require(&side, read_field(&side, KIND_FIELD, end) == kind);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
