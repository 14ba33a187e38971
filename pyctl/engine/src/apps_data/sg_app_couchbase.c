/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Couchbase: Memcached's binary protocol with a HELLO that lists features, and SASL mechanisms that Memcached spells
 * differently. What both have is a guess, until the server's list of mechanisms decides. */
#include "apps_data/sg_apps_data.h"
#include "prefix/sg_reader.h"

enum {
	REQUEST = 0x80,
	RESPONSE = 0x81,
	HELLO = 0x1f,
	LIST_MECHANISMS = 0x20,
	AUTH = 0x21,
	NAME_MOST = 250,
	FEATURE_MOST = 0x7f,
	BODY_MOST = 4096,
};

/* Features are numbers of two bytes. */
static enum sg_match read_hello(struct sg_reader *side, __u32 key, __u32 body)
{
	sg_require(side, key <= NAME_MOST && body > key && (body - key) % 2 == 0);
	sg_skip_text(side, key);
	for (; key < body && sg_fine(side); key += 2) {
		__u32 feature = (__u32)sg_take(side, 2);

		sg_require(side, feature && feature <= FEATURE_MOST);
	}
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

static int is_own_mechanism(const struct sg_reader *side, __u32 at)
{
	return sg_was(side, at, "SCRAM-SHA1") || sg_was(side, at, "SCRAM-SHA256") || sg_was(side, at, "SCRAM-SHA512");
}

static enum sg_match read_request(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 kind, key, body, mechanism;

	sg_require(&side, sg_take(&side, 1) == REQUEST);
	kind = (__u32)sg_take(&side, 1);
	sg_require(&side, kind >= HELLO && kind <= AUTH);
	key = (__u32)sg_take(&side, 2);
	/* No extras, no type of data, no bucket. */
	sg_expect_zeros(&side, 4);
	body = (__u32)sg_take(&side, 4);
	sg_require(&side, body >= key && body <= BODY_MOST);
	sg_skip(&side, 4);
	sg_expect_zeros(&side, 8);
	if (kind == HELLO)
		return read_hello(&side, key, body);
	if (kind == LIST_MECHANISMS) {
		sg_require(&side, body == 0);
		return sg_read_as(&side, SG_MATCH_GUESS);
	}
	sg_require(&side, key && key <= 20);
	mechanism = side.at;
	sg_skip_text(&side, key);
	return sg_read_as(&side, is_own_mechanism(&side, mechanism) ? SG_MATCH_CERTAIN : SG_MATCH_GUESS);
}

/* The list of mechanisms, words between spaces. */
static enum sg_match read_answer(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 1);
	__u32 body, list;

	sg_require(&side, sg_take(&side, 1) == RESPONSE);
	sg_require(&side, sg_take(&side, 1) == LIST_MECHANISMS);
	sg_expect_zeros(&side, 6);
	body = (__u32)sg_take(&side, 4);
	sg_require(&side, body <= BODY_MOST);
	sg_skip(&side, 12);
	list = side.at;
	sg_skip_text(&side, body);
	for (; sg_fine(&side) && list < side.at; list++) {
		if (is_own_mechanism(&side, list))
			return SG_MATCH_CERTAIN;
	}
	sg_require(&side, 0);
	return (enum sg_match)side.match;
}

enum sg_match sg_app_couchbase(const struct sg_prefix *prefix)
{
	return sg_match_sides(read_request(prefix), read_answer(prefix));
}
