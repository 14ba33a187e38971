/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The core's state, each port's state, and the context of a packet. */
#ifndef SG_STATE_H
#define SG_STATE_H

#include "look/sg_shown.h"
#include "look/sg_look.h"
#include "names/sg_dns_streams.h"
#include "names/sg_named.h"
#include "names/sg_questions.h"
#include "policy/sg_policy.h"
#include "quic/sg_quic.h"
#include "report/sg_report.h"
#include "scan/sg_scan.h"
#include "session/sg_join.h"
#include "session/sg_peers.h"
#include "threat/sg_threat.h"

enum { SG_INITIATORS = 16384, SG_GROUP_QUERIES = 32 };

/* The last queries to groups (verdict/sg_group_query.h). */
struct sg_group_query_ring {
	__u64 sessions[SG_GROUP_QUERIES];	/* handles; 0: none */
	__u32 next;			/* index of the oldest */
};

struct sg_group_queries {
	struct sg_group_query_ring asked, heard;
};

/* The workload's DHCP server (verdict/sg_renewal.h). */
struct sg_renewal {
	__u8 server[16];
	__u64 paced_ns;		/* when at a steady pace the last would have been sent */
	__u64 asked_ns;
	__u8 known;		/* there is a server */
	__u8 answers;		/* that may still come */
};

struct sg_port {
	struct sg_ruleset *rules;	/* NULL: no policy yet */
	__u8 *listeners;		/* bit per TCP port; NULL: not known */
	struct sg_port_list sessions;
	struct sg_group_queries queries;
	struct sg_renewal renewal;
	struct sg_named_row named;	/* addresses that it has learnt */
	struct sg_row questions;	/* that it waits to be answered */
	struct sg_name_counts names;
	struct sg_dns_share dns;	/* of connections to resolvers */
	__u32 denied;			/* of the sessions, those that only remember a denial */
	__u32 frag_memory;
	__u64 held;			/* bytes of frames that wait for their application */
	struct seg_share shares[2];	/* egress, ingress: as seg_shares */
	__u64 unproven_ns;		/* when at a steady pace the workload would have opened its last connection, of those not proven */
	__u64 reject_ns;		/* when at a steady pace the last answer would have been sent */
	__u64 guarded_ns;		/* until then each connection is opened here: a threat is dropped */
	__u64 sampled_ns;		/* when its connections were last looked at for a flood */
	struct sg_counts counts;
	struct sg_cache_stats cache;
	__u16 closing_next;		/* of core->closing */
	__u8 closing;			/* it is on that list */
};

struct sg_core {
	struct sg_io io;
	struct sg_core_config config;
	struct sg_node *node;		/* what SG_POLICY_NODE means; NULL: no rules */
	__u32 class_version;		/* of seg_classes: the node's; 0: none that is whole */
	struct sg_port *ports[SEG_PORT_IDS];	/* [0] collects what belongs to no port */
	__u16 closing;			/* the first deleted port with sessions; 0: none */
	__u8 deleted[SEG_PORT_IDS];	/* 1: the port was deleted, and has had no policy since */
	struct sg_table table;
	struct sg_frags frags;
	struct sg_joined joined;	/* the last that came in fragments */
	struct sg_looks looks;
	struct sg_scans scans;
	struct sg_sensors *sensors;	/* that the settings of ports name; NULL: none */
	struct sg_quics quics;
	struct sg_shown shown;
	struct sg_named_table named;
	struct sg_questions questions;
	struct sg_dns_streams dns_streams;
	struct sg_peers peers;
	struct sg_name_counts names;	/* of all ports since the start */
	__u32 named_cursor;		/* the next place whose time may be over */
	struct sg_report report;
	struct sg_threats threats;
	__u64 initiator_cache[SG_INITIATORS];	/* of expired connections: hash, low bit = ingress */
	__u32 denied;			/* sessions that only remember a denial */
	__u32 cache_limit;
	__u32 sweep;			/* next slot to look at (sg_flow_sweep_all()); 0: none */
	__u32 sweep_again;		/* 1: after the last one, from the first on */
	__u32 frames;			/* since the last tick */
	struct sg_cache_stats cache;	/* of all ports since the start */
	struct sg_session others_query;	/* the last one found that is another worker's (verdict/sg_group_query.h) */
	__u64 now_ns;			/* as last handed in */
	__u64 share_gap_ns;		/* as last handed in */
	int share_hit;
	int share_behind;		/* frames pile up */
	int contended;			/* a conversation other than the one below was seen */
	__u64 conversation[2];		/* the XOR of its two addresses */
	struct seg_share share_peers[SEG_SHARE_PEERS];	/* as seg_shares, by hash of port, direction and peer */
	__u64 swept_ns;			/* the last look at repeated drops */
};

/* The context of a packet or a whole datagram in the stages. */
struct sg_context {
	struct sg_core *core;
	struct sg_port *port;
	const struct sg_packet *p;
	__u64 now_ns;
	struct sg_key key;		/* of its flow: made by sg_judge() */
};

static inline __u8 sg_other_dir(__u8 dir)
{
	return dir == SEG_DIR_EGRESS ? SEG_DIR_INGRESS : SEG_DIR_EGRESS;
}

#endif
