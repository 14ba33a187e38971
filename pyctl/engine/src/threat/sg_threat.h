/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Detectors of threats that one packet is, or that packets of one source add up to. Each is one function in a file of its
 * own; sg_detect.c has the table of them. They see what comes to the engine: the kernel carries flows that are decided.
 * No I/O, no allocation. */
#ifndef SG_THREAT_H
#define SG_THREAT_H

#include "base/sg_distinct.h"
#include "base/sg_meter.h"
#include "packet/sg_packet.h"
#include "session/sg_session.h"

/* What a core remembers for its detectors. */
struct sg_threats {
	const struct sg_hash_key *hash_key;
	struct sg_meter meters[SG_METERS];
	struct sg_distinct distinct[SG_DISTINCTS];
};

/* What a detector sees. */
struct sg_sight {
	const struct sg_packet *p;
	const struct sg_session *session;	/* of a TCP SYN's addresses and ports, from before it; NULL: none */
	struct sg_threats *threats;
	__u64 now_ns;
};

static inline int sg_threat_is_on(__u64 threats, enum sg_threat threat)
{
	return threats >> threat & 1;
}

int sg_threat_syn_flood(const struct sg_sight *sight);
int sg_threat_icmp_flood(const struct sg_sight *sight);
int sg_threat_session_limit(const struct sg_sight *sight);
int sg_threat_ping_of_death(const struct sg_sight *sight);
int sg_threat_land(const struct sg_sight *sight);
int sg_threat_small_mss(const struct sg_sight *sight);
int sg_threat_syn_data(const struct sg_sight *sight);
int sg_threat_split_handshake(const struct sg_sight *sight);

/* An attempt that was refused: denied by the policy, or at a closed port. */
struct sg_probe {
	__u8 source[16];
	__u8 target[16];
	__u16 port;
	__u8 proto;
};

/* Return the scans that the attempt makes whole. */
__u64 sg_detect_scan(struct sg_threats *threats, const struct sg_probe *probe, __u64 now_ns);
/* Count another name of a domain that carries data; return the tunnel that they make. */
__u64 sg_detect_tunnel(struct sg_threats *threats, const __u64 domain[3], __u64 name, __u64 now_ns);
/* Return the scans that its source is in the middle of; the attempt itself may be any. */
__u64 sg_scans_of(const struct sg_threats *threats, const struct sg_probe *probe, __u64 now_ns);

/* A connection from the source was answered: its SYN was none of a flood. */
void sg_syn_flood_answered(struct sg_threats *threats, const struct sg_key *key, __u64 now_ns);
/* Of a sample of the source's connections so many were answered: count as many less. Returns whether it still is a flood. */
int sg_syn_flood_sampled(const struct sg_sight *sight, __u32 answered, __u32 of);
/* Return whether the last sample has left a flood. */
int sg_syn_flood_is_sure(const struct sg_sight *sight);

#endif
