/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* ZooKeeper: the client begins with a connect request, whose fields have fixed lengths, or with a word of four
 * letters. */
#include "apps_bus/sg_apps_bus.h"
#include "prefix/sg_reader.h"

enum {
	REQUEST = 44,
	REQUEST_READ_ONLY = 45,	/* since 3.4 one byte more */
	PASSWORD = 16,
	TIMEOUT_MOST = 24 * 3600 * 1000,	/* milliseconds */
};

static enum sg_match read_request(struct sg_reader *side)
{
	__u32 len = (__u32)sg_take(side, 4);
	__u32 timeout;
	int is_new;

	sg_require(side, len == REQUEST || len == REQUEST_READ_ONLY);
	/* The protocol's version, and the last transaction that was seen. */
	sg_expect_zeros(side, 4);
	sg_skip(side, 8);
	timeout = (__u32)sg_take(side, 4);
	sg_require(side, timeout && timeout <= TIMEOUT_MOST);
	is_new = sg_take(side, 8) == 0;
	sg_require(side, sg_take(side, 4) == PASSWORD);
	if (is_new)
		sg_expect_zeros(side, PASSWORD);
	else
		sg_skip(side, PASSWORD);
	if (len == REQUEST_READ_ONLY)
		sg_require(side, sg_take(side, 1) <= 1);
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

/* Words that no other protocol begins with. */
static int is_word(__u32 word)
{
	return word == 0x72756f6b /* ruok */ || word == 0x73727672 /* srvr */ || word == 0x6d6e7472 /* mntr */;
}

enum sg_match sg_app_zookeeper(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	struct sg_reader word = side;

	if (sg_fine(&side) && is_word((__u32)sg_take(&word, 4)))
		return SG_MATCH_CERTAIN;
	return read_request(&side);
}
