/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* ZooKeeper: the client begins with a connect request, whose fields have fixed lengths, or with a word of four
 * letters, which the answer proves. */
#include "apps_bus/sg_apps_bus.h"
#include "prefix/sg_reader.h"
#include "prefix/sg_text.h"

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

/* Behind a word comes nothing, or the end of a line that was typed. */
static int is_end(const __u8 *at, __u32 len)
{
	return !len || (len == 1 && (*at == '\n' || *at == '\r')) || (len == 2 && *at == '\r' && at[1] == '\n');
}

/* A word alone is a guess, because more bytes may make another word of it; the answer is proof. */
static enum sg_match read_word(const struct sg_prefix *prefix)
{
	static const char *const words[] = { "ruok", "srvr", "mntr" };
	static const char *const answers[] = { "imok", "Zookeeper version", "zk_version", "ruok is not", "srvr is not",
					       "mntr is not" };
	const __u8 *at = prefix->data[0];
	__u32 len = prefix->len[0], i = 0;
	enum sg_match best = SG_MATCH_NO;

	while (i < 3 && sg_text_begins(at, len, words[i]) != SG_MATCH_CERTAIN)
		i++;
	if (i == 3 || !is_end(at + 4, len - 4))
		return SG_MATCH_NO;
	for (i = 0; i < 6; i++) {
		enum sg_match match = sg_text_begins(prefix->data[1], prefix->len[1], answers[i]);

		best = match > best ? match : best;
	}
	return best == SG_MATCH_MORE ? SG_MATCH_GUESS : best;
}

enum sg_match sg_app_zookeeper(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	enum sg_match request = read_request(&side), word = read_word(prefix);

	return word > request ? word : request;
}
