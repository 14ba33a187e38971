/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SNMP: a sequence with a version that exists, a community and a PDU, or of version 3 its heads; all lengths agree. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_ber.h"

enum {
	SEQUENCE = 0x30,
	INTEGER = 0x02,
	TEXT = 0x04,
	OBJECT = 0x06,
	PDU_LEAST = 0xa0,
	PDU_MOST = 0xa8,
	TRAP_1 = 0xa4,
	VERSION_3 = 3,
	MESSAGE_MOST = 65535,
};

/* The number of a request, two small numbers and a list; of version 1's trap, an object first. */
static void read_pdu(struct sg_reader *side, __u32 outer)
{
	__u32 tag, end, list;

	if (!sg_need(side, 1))
		return;
	tag = side->data[side->at];
	sg_require(side, tag >= PDU_LEAST && tag <= PDU_MOST);
	end = sg_ber_enter(side, (__u8)tag, outer);
	sg_require(side, end == outer);
	if (tag == TRAP_1) {
		sg_ber_skip(side, OBJECT, end);
		return;
	}
	sg_ber_skip(side, INTEGER, end);
	sg_ber_number(side, INTEGER, end);
	sg_ber_number(side, INTEGER, end);
	list = sg_ber_enter(side, SEQUENCE, end);
	sg_require(side, list == end);
}

/* Number, size, flags and model; then what the model wants; then data, which may be encrypted. */
static void read_v3(struct sg_reader *side, __u32 outer)
{
	__u32 head = sg_ber_enter(side, SEQUENCE, outer);
	__u32 flags;

	sg_ber_number(side, INTEGER, head);
	sg_require(side, sg_ber_number(side, INTEGER, head) >= 484);
	flags = sg_ber_enter(side, TEXT, head);
	sg_require(side, flags == side->at + 1);
	sg_require(side, sg_take(side, 1) <= 7);
	sg_ber_number(side, INTEGER, head);
	sg_expect_end(side, head);
	sg_ber_skip(side, TEXT, outer);
}

enum sg_match sg_app_snmp(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 end = sg_ber_enter(&side, SEQUENCE, MESSAGE_MOST);
	__u32 version = sg_ber_number(&side, INTEGER, end);

	sg_require(&side, version <= 1 || version == VERSION_3);
	if (version == VERSION_3) {
		read_v3(&side, end);
	} else {
		sg_ber_skip(&side, TEXT, end);
		read_pdu(&side, end);
	}
	sg_require(&side, !side.is_whole || end == side.len);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
