/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* MQTT: the client begins with CONNECT, the protocol's name, a level that exists, and fields that fill its length. */
#include "apps_bus/sg_apps_bus.h"
#include "prefix/sg_reader.h"

enum {
	CONNECT = 0x10,
	BRIDGE = 0x80,		/* a broker's own bit of the level */
	LEVEL_5 = 5,
	HAS_USER = 0x80,
	HAS_PASSWORD = 0x40,
	WILL_RETAIN = 0x20,
	WILL_QOS = 0x18,
	HAS_WILL = 0x04,
	RESERVED = 0x01,
};

/* A length of at most four bytes with seven bits each. */
static __u32 take_length(struct sg_reader *side)
{
	__u32 value = 0, byte = 0x80;

	for (int i = 0; i < 4 && (byte & 0x80); i++) {
		byte = (__u32)sg_take(side, 1);
		value |= (byte & 0x7f) << 7 * i;
	}
	sg_require(side, !(byte & 0x80));
	return value;
}

static void skip_field(struct sg_reader *side, __u32 bytes, __u32 end)
{
	__u32 field = sg_end(side, bytes, end);

	if (sg_fine(side))
		sg_skip(side, field - side->at);
}

static void skip_long_field(struct sg_reader *side, __u32 end)
{
	skip_field(side, (__u32)sg_take(side, 2), end);
}

/* The client's name, the will, the user and the password. */
static void read_payload(struct sg_reader *side, __u32 flags, __u32 level, __u32 end)
{
	skip_long_field(side, end);
	if (flags & HAS_WILL) {
		if (level == LEVEL_5)
			skip_field(side, take_length(side), end);
		skip_long_field(side, end);
		skip_long_field(side, end);
	}
	if (flags & HAS_USER)
		skip_long_field(side, end);
	if (flags & HAS_PASSWORD)
		skip_long_field(side, end);
	sg_expect_end(side, end);
}

enum sg_match sg_app_mqtt(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 len, end, name, level, flags;

	sg_require(&side, sg_take(&side, 1) == CONNECT);
	len = take_length(&side);
	sg_require(&side, len >= 12);
	end = side.at + len;
	name = (__u32)sg_take(&side, 2);
	sg_require(&side, name == 4 || name == 6);
	sg_expect(&side, name == 4 ? "MQTT" : "MQIsdp", name);
	level = (__u32)sg_take(&side, 1) & ~(__u32)BRIDGE;
	sg_require(&side, name == 4 ? level == 4 || level == LEVEL_5 : level == 3);
	flags = (__u32)sg_take(&side, 1);
	sg_require(&side, !(flags & RESERVED) && (flags & WILL_QOS) != WILL_QOS);
	sg_require(&side, (flags & HAS_WILL) || !(flags & (WILL_RETAIN | WILL_QOS)));
	sg_require(&side, level == LEVEL_5 || (flags & HAS_USER) || !(flags & HAS_PASSWORD));
	sg_skip(&side, 2);
	if (level == LEVEL_5)
		skip_field(&side, take_length(&side), end);
	read_payload(&side, flags, level, end);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
