/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The table of packet detectors; see the header. In: packets. Out: sets of threats. */
#include "threat/sg_detect.h"

enum seen_in {
	IN_SYN = 1,		/* of TCP, without ACK */
	IN_ICMP = 2,
	IN_OTHERS = 4,		/* without TCP's segments after the SYN, which are most packets */
	IN_OPENED = 8,		/* also of a flow that a program opened */
};

static const struct {
	__u8 threat;		/* enum sg_threat */
	__u8 seen_in;		/* enum seen_in, bits */
	int (*is)(const struct sg_sight *sight);
} detectors[] = {
	{ SG_THREAT_LAND, IN_SYN | IN_OTHERS, sg_threat_land },
	{ SG_THREAT_SYN_FLOOD, IN_SYN | IN_OPENED, sg_threat_syn_flood },
	{ SG_THREAT_SESSION_LIMIT, IN_SYN | IN_OPENED, sg_threat_session_limit },
	{ SG_THREAT_SMALL_MSS, IN_SYN, sg_threat_small_mss },
	{ SG_THREAT_SYN_DATA, IN_SYN, sg_threat_syn_data },
	{ SG_THREAT_SPLIT_HANDSHAKE, IN_SYN, sg_threat_split_handshake },
	{ SG_THREAT_ICMP_FLOOD, IN_ICMP, sg_threat_icmp_flood },
	{ SG_THREAT_PING_OF_DEATH, IN_ICMP, sg_threat_ping_of_death },
};

static int kind_of(const struct sg_packet *p)
{
	switch (p->kind) {
	case SG_KIND_TCP:
		return (p->tcp_flags & (SG_SYN | SG_ACK)) == SG_SYN ? IN_SYN : 0;
	case SG_KIND_ICMP_QUERY:
	case SG_KIND_ICMP_REPLY:
	case SG_KIND_ICMP_ERROR:
	case SG_KIND_ICMP_OTHER:
		return IN_ICMP;
	default:
		return IN_OTHERS;
	}
}

static __u64 ask(const struct sg_sight *sight, __u64 on, int seen_in)
{
	__u64 found = 0;

	for (__u32 i = 0; seen_in && i < sizeof(detectors) / sizeof(detectors[0]); i++)
		if (detectors[i].seen_in & seen_in && sg_threat_is_on(on, detectors[i].threat) && detectors[i].is(sight))
			found |= 1ULL << detectors[i].threat;
	return found;
}

__u64 sg_detect(const struct sg_sight *sight, __u64 on)
{
	return ask(sight, on, kind_of(sight->p));
}

__u64 sg_detect_opened(const struct sg_sight *sight, __u64 on)
{
	return sight->p->kind == SG_KIND_TCP ? ask(sight, on, IN_OPENED) : 0;
}
