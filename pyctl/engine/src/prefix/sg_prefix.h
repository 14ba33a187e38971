/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a recogniser of an application sees, and how it reads it. Pure: no state, no allocation, no I/O.
 *
 * A recogniser sees the bytes from the first on, and is asked again as they become more. What it says of some bytes it
 * must also say, or say more surely, of any more bytes that begin with them; so how a stream was cut makes no
 * difference. NO and CERTAIN are final, but that the other side's bytes, when they come, may contradict. A port number
 * is no evidence, and is not shown. */
#ifndef SG_PREFIX_H
#define SG_PREFIX_H

#include "api/sg_core.h"

enum sg_prefix_limit { SG_PREFIX_BYTES = 16384 };	/* of each side; more are not shown */

/* The beginning of what each side sent: [0] the initiator, [1] the other. Of datagrams: the first one of each. */
struct sg_prefix {
	const __u8 *data[2];
	__u32 len[2];
	__u8 proto;		/* IPPROTO_TCP or IPPROTO_UDP */
};

enum sg_match {
	SG_MATCH_NO = 0,	/* whatever comes, it is another application */
	SG_MATCH_MORE,		/* the bytes are too few to tell */
	SG_MATCH_GUESS,		/* one side looks like it */
	SG_MATCH_CERTAIN,	/* by evidence of both sides, or by one that nothing else has */
};

#endif
