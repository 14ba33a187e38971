/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognises the application of a flow by the first bytes of both sides. Pure: no allocation, no I/O. */
#ifndef SG_RECOGNISE_H
#define SG_RECOGNISE_H

#include "prefix/sg_prefix.h"

/* What is known of a flow's application. */
struct sg_recognised {
	__u64 open;		/* applications that it may still be, bits 1 << enum sg_app */
	__u64 guessed;		/* of these, all that are guessed */
	__u64 family;		/* with a guess: it is one of these for sure; 0: that is not known */
	__u8 app;		/* enum sg_app: the certain one, the one that is guessed, or SG_APP_UNKNOWN if none is left */
	__u8 proof;		/* enum sg_app_proof */
	__u8 kind;		/* with SG_APP_GUESS: it is this one for sure, or one that this contains; 0: that is not known */
	__u8 answered;		/* the server's first bytes fit the certain application, or what it is one kind of; only of TCP */
};

/* Recognise a flow by what both sides have sent so far. *known begins as zeros, and is handed in again. If several are
 * certain, the more special one is told (gRPC is HTTP/2 too); while a more special one is open, the general one is a
 * guess. If several are guessed, none is told. What the initiator's bytes prove is unknown again if the server's do not fit. */
void sg_recognise(const struct sg_prefix *prefix, struct sg_recognised *known);

#endif
