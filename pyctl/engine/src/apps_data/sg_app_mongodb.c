/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* MongoDB: a message's head names its length and kind; a document follows whose length agrees. */
#include "apps_data/sg_apps_data.h"
#include "prefix/sg_reader.h"

enum {
	HEAD = 16,
	MESSAGE_MOST = 48000000,
	QUERY = 2004,
	MSG = 2013,
	COMPRESSED = 2012,
	MSG_CHECKSUM = 1,
	MSG_FLAGS = MSG_CHECKSUM | 1 << 1 | 1 << 16,
	QUERY_FLAGS = 0xfe,
	NAME_MOST = 255,
	DOCUMENT_LEAST = 5,
	TYPE_MOST = 0x13,
};

/* A document's length and its first field: a type and a name. */
static void read_document(struct sg_reader *side, __u32 outer)
{
	__u32 begin = side->at;
	__u32 len = (__u32)sg_take_le(side, 4);
	__u32 type;

	sg_require(side, len >= DOCUMENT_LEAST && len <= outer - begin);
	type = (__u32)sg_take(side, 1);
	if (len == DOCUMENT_LEAST) {
		sg_require(side, type == 0);
		return;
	}
	sg_require(side, type && type <= TYPE_MOST);
	sg_skip_string(side, NAME_MOST);
}

/* Flags, and the first section: a document. */
static void read_msg(struct sg_reader *side, __u32 end)
{
	__u32 flags = (__u32)sg_take_le(side, 4);

	sg_require(side, (flags & ~MSG_FLAGS) == 0);
	/* Sections of kind 1 may come first, but no client sends them so in its first message. */
	sg_expect_zeros(side, 1);
	read_document(side, flags & MSG_CHECKSUM ? end - 4 : end);
}

/* Flags, `database.collection`, two numbers, and a document. */
static void read_query(struct sg_reader *side, __u32 end)
{
	int has_dot = 0;
	__u32 name;

	sg_require(side, (sg_take_le(side, 4) & ~(__u64)QUERY_FLAGS) == 0);
	name = side->at;
	sg_require(side, sg_skip_string(side, NAME_MOST) >= 3);
	for (; sg_fine(side) && name < side->at; name++)
		has_dot |= side->data[name] == '.';
	sg_require(side, has_dot);
	sg_skip(side, 8);
	sg_require(side, side->at < end);
	read_document(side, end);
}

/* The kind and length of what is compressed, and a compressor that exists. */
static void read_compressed(struct sg_reader *side)
{
	__u32 kind = (__u32)sg_take_le(side, 4);

	sg_require(side, kind == MSG || kind == QUERY);
	sg_require(side, sg_take_le(side, 4) <= MESSAGE_MOST);
	sg_require(side, sg_take(side, 1) <= 3);
}

enum sg_match sg_app_mongodb(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 len, kind, answered;

	len = (__u32)sg_take_le(&side, 4);
	sg_require(&side, len >= HEAD + 9 && len <= MESSAGE_MOST);
	sg_skip(&side, 4);
	/* A request answers nothing: 0, or -1 of old clients. */
	answered = (__u32)sg_take(&side, 4);
	sg_require(&side, answered == 0 || answered == 0xffffffff);
	kind = (__u32)sg_take_le(&side, 4);
	sg_require(&side, kind == QUERY || kind == MSG || kind == COMPRESSED);
	if (kind == QUERY)
		read_query(&side, len);
	else if (kind == MSG)
		read_msg(&side, len);
	else
		read_compressed(&side);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
