/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* DNS over UDP and TCP: a head whose counts fit, and as many records, to the last byte. Multicast DNS is the same. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_reader.h"

enum {
	HEAD = 12,
	ANSWER = 0x8000,
	KIND = 0x7800,		/* what is asked for: a query, a notice, an update … */
	KIND_INVERSE = 1 << 11,
	KIND_STATUS = 2 << 11,
	KIND_NOTICE = 4 << 11,
	KIND_UPDATE = 5 << 11,
	NAME_MOST = 255,
	LABEL_MOST = 63,
	POINTER = 0xc0,
	QUESTIONS_MOST = 32,
	RECORDS_MOST = 256,	/* of a question's other sections */
	CLASS_MASK = 0x7fff,	/* multicast DNS has a bit of its own above it */
	OPT = 41,
	NETBIOS = 32,		/* the kind of its names, and how long they are */
};

struct message {
	__u32 begin;		/* of the head: pointers count from it */
	__u32 end;
	__u32 flags;
	__u32 counts[4];
	int is_netbios;
};

/* Read a name, and note whether it is one of NetBIOS: half-bytes as letters, A to P. Pointers lead back, and are
 * not followed. */
static void read_name(struct sg_reader *side, struct message *message)
{
	__u32 begin = side->at, len = 1, letters;

	while (sg_fine(side) && len) {
		len = (__u32)sg_take(side, 1);
		if ((len & POINTER) == POINTER) {
			__u32 place = side->at - 1 - message->begin;

			len = (len & ~(__u32)POINTER) << 8 | (__u32)sg_take(side, 1);
			sg_require(side, len >= HEAD && len < place);
			return;
		}
		sg_require(side, len <= LABEL_MOST && side->at + len - begin <= NAME_MOST);
		letters = 0;
		for (__u32 i = 0; i < len && sg_need(side, 1); i++, side->at++)
			letters += side->data[side->at] >= 'A' && side->data[side->at] <= 'P';
		message->is_netbios |= len == NETBIOS && letters > NETBIOS / 4 * 3;
	}
}

static int is_class(__u32 class)
{
	class &= CLASS_MASK;
	return class == 1 || class == 3 || class == 4 || class == 254 || class == 255;
}

static void read_question(struct sg_reader *side, struct message *message)
{
	__u32 kind;

	read_name(side, message);
	kind = (__u32)sg_take(side, 2);
	sg_require(side, kind && kind != NETBIOS);
	sg_require(side, is_class((__u32)sg_take(side, 2)));
}

static void read_record(struct sg_reader *side, struct message *message)
{
	__u32 kind, class, len;

	read_name(side, message);
	kind = (__u32)sg_take(side, 2);
	class = (__u32)sg_take(side, 2);
	/* OPT has the size of a buffer here. */
	sg_require(side, kind && (kind == OPT || is_class(class)));
	sg_skip(side, 4);
	len = (__u32)sg_take(side, 2);
	sg_end(side, len, message->end);
	sg_skip(side, len);
}

/* Read the length on TCP, and the head. */
static struct message read_head(struct sg_reader *side)
{
	struct message message = { .end = side->len };

	if (!side->is_whole) {
		__u32 len = (__u32)sg_take(side, 2);

		message.end = side->at + len;
		sg_require(side, len >= HEAD);
	}
	message.begin = side->at;
	sg_skip(side, 2);
	message.flags = (__u32)sg_take(side, 2);
	for (int i = 0; i < 4; i++)
		message.counts[i] = (__u32)sg_take(side, 2);
	return message;
}

/* Read everything that the head counts. */
static void read_sections(struct sg_reader *side, struct message *message)
{
	for (__u32 i = 0; i < message->counts[0] && sg_fine(side); i++)
		read_question(side, message);
	for (int section = 1; section < 4; section++) {
		for (__u32 i = 0; i < message->counts[section] && sg_fine(side); i++)
			read_record(side, message);
	}
	sg_require(side, !message->is_netbios);
}

/* A first message may be an answer: a multicast responder tells unasked, and a server may answer late. */
static void check_head(struct sg_reader *side, const struct message *message)
{
	__u32 kind = message->flags & KIND;
	__u32 records = message->counts[1] + message->counts[2] + message->counts[3];

	sg_require(side, kind <= KIND_STATUS || kind == KIND_NOTICE || kind == KIND_UPDATE);
	sg_require(side, message->counts[0] <= QUESTIONS_MOST && records <= RECORDS_MOST);
	sg_require(side, message->counts[0] || ((message->flags & ANSWER || kind == KIND_INVERSE) && records));
}

enum sg_match sg_app_dns(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	struct message message = read_head(&side);

	check_head(&side, &message);
	read_sections(&side, &message);
	sg_expect_end(&side, message.end);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
