/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Spark's RPC: a frame with its length, a kind, and a body whose length agrees. The body of a first message is a
 * serialised Java object after two addresses, a message of authentication or about blocks, or the name of a file. */
#include "apps_bus/sg_apps_bus.h"
#include "prefix/sg_reader.h"

enum {
	REQUEST = 3,
	STREAM = 6,
	ONE_WAY = 9,
	FRAME_MOST = 1 << 28,
	NAME_MOST = 512,
	BLOCKS_MOST = 15,	/* tags of messages about blocks, and of authentication */
	SASL = 0xea,
	AUTHENTICATION = 0xfb,
	JAVA = 0xaced0005,	/* a stream of objects: magic number and version */
};

/* A Java text: its length in two bytes. */
static void read_text(struct sg_reader *side)
{
	__u32 len = (__u32)sg_take(side, 2);

	sg_require(side, len && len <= NAME_MOST);
	sg_skip_text(side, len);
}

/* An address, if there is one: host and port. */
static void read_address(struct sg_reader *side)
{
	__u32 there = (__u32)sg_take(side, 1);

	sg_require(side, there <= 1);
	if (!there)
		return;
	read_text(side);
	sg_require(side, sg_take(side, 4) <= 0xffff);
}

/* A message of authentication or about blocks begins with the application's name. For the latter it has one of
 * Spark's forms. */
static void read_application(struct sg_reader *side, __u32 end)
{
	__u32 kind = (__u32)sg_take(side, 1);
	__u32 len = (__u32)sg_take(side, 4);
	__u32 name = side->at;

	sg_end(side, len, end);
	sg_skip_text(side, len);
	sg_require(side, kind == SASL || kind == AUTHENTICATION ||
			 (kind <= BLOCKS_MOST && (sg_was(side, name, "app-") || sg_was(side, name, "application_") ||
						  sg_was(side, name, "local-") || sg_was(side, name, "spark-"))));
}

static void read_body(struct sg_reader *side, __u32 end)
{
	struct sg_reader ahead = *side;
	__u32 len;

	sg_skip(&ahead, 1);
	len = (__u32)sg_take(&ahead, 4);
	if (!sg_fine(&ahead)) {
		side->match = ahead.match;
	} else if (len && len <= NAME_MOST) {
		read_application(side, end);
	} else {
		read_address(side);
		read_address(side);
		read_text(side);
		sg_require(side, sg_take(side, 4) == JAVA);
	}
}

/* The files that executors fetch from their driver. */
static void read_stream(struct sg_reader *side, __u32 end)
{
	__u32 len = (__u32)sg_take(side, 4);
	__u32 name = side->at;

	sg_require(side, len >= 7 && len <= NAME_MOST && end - side->at == len);
	sg_skip_text(side, len);
	sg_require(side, sg_was(side, name, "/jars/") || sg_was(side, name, "/files/") ||
			 sg_was(side, name, "/classes/"));
}

enum sg_match sg_app_spark(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u64 len, body;
	__u32 kind;

	len = sg_take(&side, 8);
	sg_require(&side, len >= 8 + 1 + 4 + 4 && len <= FRAME_MOST);
	kind = (__u32)sg_take(&side, 1);
	sg_require(&side, kind == REQUEST || kind == ONE_WAY || kind == STREAM);
	if (kind == STREAM) {
		read_stream(&side, (__u32)len);
		return sg_read_as(&side, SG_MATCH_CERTAIN);
	}
	if (kind == REQUEST)
		sg_skip(&side, 8);
	body = sg_take(&side, 4);
	sg_require(&side, body == len - side.at);
	read_body(&side, (__u32)len);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
