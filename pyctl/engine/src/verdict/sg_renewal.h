/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A DHCP client renews its lease with the server alone (RFC 2131 §4.4.5), which no rule may know: who answered its
 * question to all is asked again without one. Few and small messages, so that nobody talks by them. DHCPv6 clients ask
 * all. */
#ifndef SG_RENEWAL_H
#define SG_RENEWAL_H

#include "session/sg_session.h"

struct sg_packet;
struct sg_port;

enum sg_renewal_limit {
	SG_RENEWAL_BYTES = 1514,	/* of a frame, in one piece */
	SG_RENEWALS = 4,		/* at once; and answers to one */
};
#define SG_RENEWAL_GAP (15 * SG_SECOND)	/* at a steady pace */

struct sg_renewal {
	__u8 server[16];
	__u64 paced_ns;		/* by when all would have been asked at a steady pace */
	__u64 asked_ns;
	__u8 known;		/* there is a server */
	__u8 answers;		/* that may still come */
};

/* p answers a question to all. */
void sg_renewal_learn(struct sg_port *port, const struct sg_packet *p);
/* Whether p, which belongs to no flow that is open, is a renewal or its answer, and no rule says otherwise. It counts
 * as such then. */
int sg_renewal_passes(struct sg_port *port, const struct sg_packet *p, const struct sg_key *key, __u64 now_ns);

#endif
