/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What is read of the names that ports have learnt from answers of DNS. */
#ifndef SG_NAMES_H
#define SG_NAMES_H

#include "segctl_abi.h"

enum sg_names_limit {
	SG_NAME_ROOM = 256,		/* a name as text is shorter */
	SG_NAME_GROUPS = 8,		/* that a record shows */
};

/* An address that a port has learnt, with the name that was asked for. */
struct sg_name_record {
	__u64 expires_ns;	/* CLOCK_MONOTONIC: TTL and grace are over; with `used` it stays all the same */
	__u64 learnt_ns;	/* when it was told last */
	__u32 ttl;		/* seconds, the least of the chain's */
	__u16 port_id;
	__u8 family;		/* enum seg_family */
	__u8 used;		/* a flow between the port and the address lives */
	__u8 address[16];
	__u8 resolver[16];	/* who told it */
	__u8 resolver_family;
	__u8 is_hint;		/* of an HTTPS or SVCB record */
	__u16 group_count;	/* how many groups the names put it in; the first ones are in `groups` */
	__u32 groups[SG_NAME_GROUPS];
	__u32 pad;
	char asked[SG_NAME_ROOM];	/* lower case, no dot at the end */
	char matched[SG_NAME_ROOM];	/* the first name of the chain of CNAMEs that is in a group; empty: none is */
};
SEG_ABI_SIZE(sg_name_record, 608);

/* An address whose names a port may have learnt. */
struct sg_name_query {
	__u16 port_id;
	__u8 family;		/* enum seg_family */
	__u8 pad;
	__u8 address[16];
};
SEG_ABI_SIZE(sg_name_query, 20);

struct sg_name_counts {
	__u64 learnt;		/* addresses that answers told, repeats among them */
	__u64 expired;
	__u64 evicted;		/* addresses, or questions, that made room */
	__u64 no_question;	/* answers that nobody waited for: another id, name, type or flow */
	__u64 wrong_resolver;	/* answers of a resolver that no rule allows */
	__u64 malformed;	/* messages that could not be read */
	__u64 truncated;	/* answers that say so, and what is left out of one that is too large to keep */
};
SEG_ABI_SIZE(sg_name_counts, 56);

#endif
