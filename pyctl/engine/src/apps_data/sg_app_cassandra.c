/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Cassandra's native protocol: the client begins with OPTIONS, which is empty, or with STARTUP and its CQL_VERSION. */
#include "apps_data/sg_apps_data.h"
#include "prefix/sg_reader.h"

enum {
	STARTUP = 1,
	OPTIONS = 5,
	BETA = 0x10,		/* the one flag of a first message */
	VERSION_LEAST = 1,
	VERSION_MOST = 5,
	VERSION_DSE_1 = 0x41,	/* DataStax has two of its own, which its drivers try first */
	VERSION_DSE_2 = 0x42,
	WIDE_STREAMS = 3,	/* versions from here on have two bytes for them */
	PAIRS_MOST = 16,
	TEXT_MOST = 512,
};

/* A map of texts. */
static void read_startup(struct sg_reader *side, __u32 end)
{
	__u32 count = (__u32)sg_take(side, 2);
	__u32 text, len;
	int has_version = 0;

	sg_require(side, count && count <= PAIRS_MOST);
	for (__u32 i = 0; i < 2 * count && sg_fine(side); i++) {
		len = (__u32)sg_take(side, 2);
		sg_require(side, len <= TEXT_MOST && side->at + len <= end);
		text = side->at;
		sg_skip_text(side, len);
		has_version |= i % 2 == 0 && sg_was(side, text, "CQL_VERSION");
	}
	sg_require(side, has_version);
	sg_expect_end(side, end);
}

enum sg_match sg_app_cassandra(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 version, kind, len;

	version = (__u32)sg_take(&side, 1);
	sg_require(&side, (version >= VERSION_LEAST && version <= VERSION_MOST) || version == VERSION_DSE_1 ||
			  version == VERSION_DSE_2);
	sg_require(&side, (sg_take(&side, 1) & ~(__u64)BETA) == 0);
	/* Negative streams are the server's. */
	sg_require(&side, sg_take(&side, version < WIDE_STREAMS ? 1 : 2) < (version < WIDE_STREAMS ? 0x80 : 0x8000));
	kind = (__u32)sg_take(&side, 1);
	sg_require(&side, kind == STARTUP || kind == OPTIONS);
	len = (__u32)sg_take(&side, 4);
	/* Of OPTIONS with narrow streams there are too few bytes to tell it by. */
	sg_require(&side, kind == STARTUP || (len == 0 && version >= WIDE_STREAMS));
	sg_require(&side, len <= 2 * PAIRS_MOST * TEXT_MOST);
	if (kind == STARTUP)
		read_startup(&side, side.at + len);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
