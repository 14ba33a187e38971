/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Kafka: a request's head names its length, kind, version and number. What a client asks first has a body that
 * fills the length; of other requests the head is a guess, until the answer has the same number. */
#include "apps_bus/sg_apps_bus.h"
#include "prefix/sg_reader.h"

enum {
	METADATA = 3,
	SASL_HANDSHAKE = 17,
	API_VERSIONS = 18,
	KIND_MOST = 92,
	VERSION_MOST = 20,
	FLEXIBLE = 3,		/* ApiVersions' first version with a software's name and version */
	METADATA_MOST = 8,	/* its last version with plain fields */
	MESSAGE_MOST = 100 << 20,
	TOPICS_MOST = 1024,
	NAME_MOST = 255,
};

struct request {
	__u32 end;
	__u32 kind;
	__u32 version;
	__u32 number;
	int has_name;		/* of the client */
};

/* A text with its length in two bytes; the length -1 is for none. Return the length. */
static __u32 read_name(struct sg_reader *side, __u32 end, int may_miss)
{
	__u32 len = (__u32)sg_take(side, 2);

	if (may_miss && len == 0xffff)
		return 0;
	sg_require(side, len <= NAME_MOST);
	sg_end(side, len, end);
	sg_skip_text(side, len);
	return len;
}

/* A text with its length + 1 in one byte, as those are that no client makes longer. */
static void read_short_name(struct sg_reader *side)
{
	__u32 len = (__u32)sg_take(side, 1);

	sg_require(side, len && len < 0x80);
	if (sg_fine(side))
		sg_skip_text(side, len - 1);
}

static struct request read_head(struct sg_reader *side)
{
	struct request request = { 0 };
	__u32 len = (__u32)sg_take(side, 4);

	sg_require(side, len >= 10 && len <= MESSAGE_MOST);
	request.end = side->at + len;
	request.kind = (__u32)sg_take(side, 2);
	request.version = (__u32)sg_take(side, 2);
	sg_require(side, request.kind <= KIND_MOST && request.version <= VERSION_MOST);
	request.number = (__u32)sg_take(side, 4);
	sg_require(side, request.number < 1u << 31);
	request.has_name = read_name(side, request.end, 1) != 0;
	return request;
}

/* Nothing, or as librdkafka says it, none; since version 3: no tags, the client's name and version, no tags. */
static enum sg_match read_api_versions(struct sg_reader *side, const struct request *request)
{
	if (request->version >= FLEXIBLE) {
		sg_expect_zeros(side, 1);
		read_short_name(side);
		read_short_name(side);
		sg_expect_zeros(side, 1);
	} else if (request->end - side->at == 4) {
		sg_expect_zeros(side, 4);
	}
	sg_expect_end(side, request->end);
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

/* Topics, or -1 for all, and since versions 4 and 8 flags. */
static enum sg_match read_metadata(struct sg_reader *side, const struct request *request)
{
	__u32 topics = (__u32)sg_take(side, 4);
	__u32 flags = request->version < 4 ? 0 : request->version < 8 ? 1 : 3;

	if (topics == 0xffffffff)
		topics = 0;
	sg_require(side, topics <= TOPICS_MOST);
	while (topics-- && sg_fine(side))
		read_name(side, request->end, 0);
	while (flags-- && sg_fine(side))
		sg_require(side, sg_take(side, 1) <= 1);
	sg_expect_end(side, request->end);
	return sg_read_as(side, SG_MATCH_CERTAIN);
}

static enum sg_match read_request(struct sg_reader *side, struct request *request)
{
	*request = read_head(side);
	if (request->kind == API_VERSIONS)
		return read_api_versions(side, request);
	if (request->kind == METADATA && request->version <= METADATA_MOST)
		return read_metadata(side, request);
	if (request->kind == SASL_HANDSHAKE) {
		sg_require(side, request->version <= 1);
		read_name(side, request->end, 0);
		sg_expect_end(side, request->end);
		return sg_read_as(side, SG_MATCH_CERTAIN);
	}
	/* Without a name it would be little but zeros, as others have them. */
	sg_require(side, request->has_name);
	return sg_read_as(side, SG_MATCH_GUESS);
}

/* The answer has the request's number after its length. */
static enum sg_match read_answer(const struct sg_prefix *prefix, __u32 number)
{
	struct sg_reader side = sg_reader(prefix, 1);
	__u32 len = (__u32)sg_take(&side, 4);

	sg_require(&side, len >= 4 && len <= MESSAGE_MOST);
	sg_require(&side, sg_take(&side, 4) == number);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}

enum sg_match sg_app_kafka(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	struct request request;
	enum sg_match asked;

	asked = read_request(&side, &request);
	return sg_match_sides(asked, read_answer(prefix, request.number));
}
