/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the stages of the core share. Stage order: sg_decode -> sg_frag -> sg_judge (with sg_policy,
 * sg_session, sg_tcp) -> sg_cache (flow map) -> sg_core (sends, counts, tells). */
#ifndef SG_CORE_INTERNAL_H
#define SG_CORE_INTERNAL_H

#include "packet/sg_decode.h"
#include "report/sg_event_queue.h"
#include "session/sg_frag.h"
#include "report/sg_hits.h"
#include "policy/sg_policy.h"
#include "verdict/sg_question.h"
#include "verdict/sg_renewal.h"
#include "session/sg_session.h"

enum { SG_RECALL = 16384 };

struct sg_port {
	struct sg_ruleset *rules;	/* NULL: no policy yet */
	__u8 *listeners;		/* bit per TCP port; NULL: not known */
	struct sg_port_list sessions;
	struct sg_questions questions;
	struct sg_renewal renewal;
	__u32 denied;			/* of the sessions, those that only remember a denial */
	__u32 frag_memory;
	struct seg_share shares[2];	/* egress, ingress: as seg_shares */
	__u64 share_told_ns;
	__u64 reject_ns;		/* by when what was answered would have been, at a steady pace */
	struct sg_reason_count counts[SEG_R_COUNT];
	struct sg_cache_stats cache;
	__u16 closing_next;		/* of core->closing */
	__u8 closing;			/* it is in there */
};

struct sg_core {
	struct sg_io io;
	struct sg_core_config config;
	struct sg_node *node;		/* what SG_POLICY_NODE means; NULL: no rules */
	struct sg_port *ports[SEG_PORT_IDS];	/* [0] collects what belongs to no port */
	__u16 closing;			/* the first of those that were deleted and have sessions; 0: none */
	struct sg_table table;
	struct sg_frags frags;
	struct sg_event_queue events;
	struct sg_hits hits;
	__u64 recall[SG_RECALL];	/* who opened what expired: hash, low bit = ingress */
	__u32 denied;			/* sessions that only remember a denial */
	__u32 cache_limit;
	__u32 sweep;			/* slot from which on entries of ports without a flow map go; 0: none do */
	__u32 frames;			/* since the last tick */
	struct sg_cache_stats cache;	/* of all ports that there ever were */
	__u64 now_ns;			/* as last handed in */
	__u64 share_gap_ns;		/* as last handed in */
	int share_hit;
	int share_behind;		/* frames pile up */
	int contended;			/* a conversation other than that of `ends` was seen */
	__u64 ends[2];			/* both addresses of one, in one, whichever way it goes */
	struct seg_share share_peers[SEG_SHARE_PEERS];	/* as seg_shares, by hash of port, direction and peer */
	__u64 swept_ns;			/* when repeated drops were looked at last */
};

/* What is to become of a packet. */
struct sg_ruling {
	__u32 rule_id;
	__u16 reason;		/* SEG_R_NONE: it passes */
	__u8 opener;		/* who opened its flow; 0: itself */
};

static inline __u8 sg_other_dir(__u8 dir)
{
	return dir == SEG_DIR_EGRESS ? SEG_DIR_INGRESS : SEG_DIR_EGRESS;
}

static inline void sg_count(struct sg_port *port, __u16 reason, __u64 packets, __u64 bytes)
{
	port->counts[reason].packets += packets;
	port->counts[reason].bytes += bytes;
}

/* sg_core.c */
/* NULL: no memory. */
struct sg_port *sg_port_of(struct sg_core *core, __u16 port_id);
/* Send a frame made here or received; a failure is counted. 0, -errno, or 1 for a copy, which is the
 * end of it. */
int sg_send(struct sg_core *core, struct sg_port *port, const struct sg_frame *frame);
/* Something passes that the mode only records, or a staged rule would have decided: count and tell it. */
void sg_record(struct sg_core *core, struct sg_port *port, const struct sg_packet *p,
	       const struct sg_ruling *ruling, __u64 now_ns);

#endif
