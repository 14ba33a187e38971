/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A verdict on a packet: verdict/ makes it, core/ carries it out. */
#ifndef SG_VERDICT_H
#define SG_VERDICT_H

#include "api/sg_core.h"

struct sg_session;

/* Answers, sent in this order before anything else. */
enum sg_action {
	SG_RESET_RECEIVER = 1,
	SG_RESET_SENDER = 2,
	SG_REJECT = 4,		/* RST or ICMP error to the sender, at the port's pace */
	SG_SEND_FIRST = 8,	/* before that, send on what waits of the session's initiator */
	SG_SEND_SECOND = 16,	/* and of the other side */
	SG_DROP_WAITING = 32,	/* drop what waits, with the packet */
	SG_KEEP = 64,		/* do not send the packet: it waits, or is counted already */
};

struct sg_verdict {
	__u32 rule_id;
	__u16 reason;		/* SEG_R_NONE: it passes */
	__u8 initiator;		/* of its flow, enum seg_dir; 0: the packet's direction */
	__u8 actions;		/* enum sg_action, bits */
	struct sg_session *session;	/* update its flow-map entries, after the answers; NULL: none */
};

/* The verdict on a packet when the policy has no answer. */
static inline struct sg_verdict sg_verdict_unknown(__u8 initiator)
{
	return (struct sg_verdict){ .reason = SEG_R_SESSION_MEMORY, .initiator = initiator };
}

#endif
