/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* LDAP: a sequence with a number and an operation that a client may begin with. All lengths
 * agree, and so do the kinds of all fields. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_ber.h"

enum {
	SEQUENCE = 0x30,
	BOOLEAN = 0x01,
	INTEGER = 0x02,
	TEXT = 0x04,
	ENUMERATED = 0x0a,
	BIND = 0x60,
	SEARCH = 0x63,
	MODIFY = 0x66,
	ADD = 0x68,
	COMPARE = 0x6e,
	EXTENDED = 0x77,
	CONTROLS = 0xa0,
	SIMPLE = 0x80,
	SASL = 0xa3,
	SICILY_MOST = 0x8b,	/* Active Directory has three kinds of its own up to here */
	NAME = 0x80,		/* of an extended operation: an OID */
	FILTER_LEAST = 0xa0,
	FILTER_MOST = 0xa9,
	FILTER_PRESENT = 0x87,
	MESSAGE_MOST = 1 << 24,
};

/* Return the next byte without reading it; 0 if there is none. */
static __u8 peek(struct sg_reader *side)
{
	return sg_need(side, 1) ? side->data[side->at] : 0;
}

/* A version, a name, and how the client proves it. */
static void read_bind(struct sg_reader *side, __u32 end)
{
	__u32 version = sg_ber_number(side, INTEGER, end);
	__u8 proof;

	sg_require(side, version >= 1 && version <= 3);
	sg_ber_skip(side, TEXT, end);
	proof = peek(side);
	sg_require(side, (proof >= SIMPLE && proof <= SICILY_MOST) || proof == SASL);
	if (proof == SASL) {
		__u32 inner = sg_ber_enter(side, SASL, end);

		sg_require(side, inner == end);
		sg_ber_skip(side, TEXT, inner);
		if (sg_fine(side) && side->at < inner)
			sg_ber_skip(side, TEXT, inner);
	} else {
		sg_ber_skip(side, proof, end);
	}
	sg_expect_end(side, end);
}

/* Where, how deep, what of aliases, two limits, names alone or not, a filter, names of attributes. */
static void read_search(struct sg_reader *side, __u32 end)
{
	__u32 names_alone, attributes;
	__u8 filter;

	sg_ber_skip(side, TEXT, end);
	sg_require(side, sg_ber_number(side, ENUMERATED, end) <= 3);
	sg_require(side, sg_ber_number(side, ENUMERATED, end) <= 3);
	sg_ber_number(side, INTEGER, end);
	sg_ber_number(side, INTEGER, end);
	names_alone = sg_ber_enter(side, BOOLEAN, end);
	sg_require(side, names_alone == side->at + 1);
	sg_skip(side, 1);
	filter = peek(side);
	sg_require(side, filter == FILTER_PRESENT || (filter >= FILTER_LEAST && filter <= FILTER_MOST));
	sg_ber_skip(side, filter, end);
	attributes = sg_ber_enter(side, SEQUENCE, end);
	sg_require(side, attributes == end);
	while (sg_fine(side) && side->at < attributes)
		sg_ber_skip(side, TEXT, attributes);
}

/* The operation's name is numbers with dots between them. */
static void read_extended(struct sg_reader *side, __u32 end)
{
	__u32 name = sg_ber_enter(side, NAME, end);

	sg_require(side, name > side->at + 2);
	while (sg_fine(side) && side->at < name) {
		__u8 byte = (__u8)sg_take(side, 1);

		sg_require(side, byte == '.' || (byte >= '0' && byte <= '9'));
	}
	if (sg_fine(side) && side->at < end)
		sg_ber_skip(side, NAME + 1, end);
	sg_expect_end(side, end);
}

/* A name and a list: changes of an entry, its attributes, or what it is compared with. */
static void read_entry(struct sg_reader *side, __u8 kind, __u32 end)
{
	__u32 list;

	sg_require(side, kind == MODIFY || kind == ADD || kind == COMPARE);
	sg_ber_skip(side, TEXT, end);
	list = sg_ber_enter(side, SEQUENCE, end);
	sg_require(side, list == end);
	if (sg_fine(side))
		sg_skip(side, end - side->at);
}

enum sg_match sg_app_ldap(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 end = sg_ber_enter(&side, SEQUENCE, MESSAGE_MOST);
	__u32 operation;
	__u8 kind;

	sg_ber_number(&side, INTEGER, end);
	kind = peek(&side);
	operation = sg_ber_enter(&side, kind, end);
	if (kind == BIND)
		read_bind(&side, operation);
	else if (kind == SEARCH)
		read_search(&side, operation);
	else if (kind == EXTENDED)
		read_extended(&side, operation);
	else
		read_entry(&side, kind, operation);
	if (sg_fine(&side) && side.at < end)
		sg_ber_skip(&side, CONTROLS, end);
	sg_expect_end(&side, end);
	sg_expect_last(&side);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
