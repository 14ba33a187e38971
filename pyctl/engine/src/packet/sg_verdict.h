/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What is to become of a packet: verdict/ decides it, core/ carries it out. */
#ifndef SG_VERDICT_H
#define SG_VERDICT_H

#include "api/sg_core.h"

struct sg_session;

/* Who is answered, in this order, before anything else is done. */
enum sg_action {
	SG_RESET_RECEIVER = 1,
	SG_RESET_SENDER = 2,
	SG_REJECT = 4,		/* the sender is told, at the port's pace: RST, or an ICMP error */
};

struct sg_verdict {
	__u32 rule_id;
	__u16 reason;		/* SEG_R_NONE: it passes */
	__u8 initiator;		/* who opened its flow; 0: itself */
	__u8 actions;		/* enum sg_action, bits */
	struct sg_session *session;	/* whose entries in the flow map follow it, after the answers; or NULL */
};

#endif
