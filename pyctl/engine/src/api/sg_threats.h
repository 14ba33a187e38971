/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The threats that the engine looks for, and what a port does at each. pyctl/model/threats.py has names and severities. */
#ifndef SG_THREATS_H
#define SG_THREATS_H

#include "segctl_abi.h"

/* Numbers never change their meaning. A set of threats is a __u64 of bits 1 << number. */
enum sg_threat {
	SG_THREAT_SYN_FLOOD = 1,
	SG_THREAT_ICMP_FLOOD = 2,
	SG_THREAT_SESSION_LIMIT = 3,
	SG_THREAT_TEARDROP = 4,
	SG_THREAT_PING_OF_DEATH = 5,
	SG_THREAT_LAND = 6,
	SG_THREAT_SMALL_MSS = 7,
	SG_THREAT_SYN_DATA = 8,
	SG_THREAT_SPLIT_HANDSHAKE = 9,
	SG_THREAT_PORT_SCAN = 10,
	SG_THREAT_ADDRESS_SCAN = 11,
	SG_THREAT_DNS_LOOP = 12,
	SG_THREAT_DNS_ZONE_TRANSFER = 13,
	SG_THREAT_DNS_NULL = 14,
	SG_THREAT_DNS_TUNNEL = 15,
	SG_THREAT_SSH_V1 = 16,
	SG_THREAT_SSL = 17,
	SG_THREAT_TLS_1_0 = 18,
	SG_THREAT_TLS_1_1 = 19,
	SG_THREAT_TLS_WEAK_CIPHER = 20,
	SG_THREAT_HEARTBLEED = 21,
	SG_THREAT_SSL_CIPHER_OVERFLOW = 22,
	SG_THREAT_HTTP_NEGATIVE_LENGTH = 23,
	SG_THREAT_HTTP_SMUGGLING = 24,
};

enum sg_threat_limit { SG_THREAT_LAST = SG_THREAT_HTTP_SMUGGLING };

/* What a port does at each threat: each set is a part of the one before. */
struct sg_threat_settings {
	__u64 on;		/* it is looked for, and told */
	__u64 drop;		/* where the mode enforces, its packet or connection is dropped */
	__u64 reset;		/* and answered */
};
SEG_ABI_SIZE(sg_threat_settings, 24);

/* What is seen in DNS messages: in those of port 53, which then stay with the engine. */
#define SG_THREATS_OF_LOOKUPS \
	(1ULL << SG_THREAT_DNS_LOOP | 1ULL << SG_THREAT_DNS_ZONE_TRANSFER | 1ULL << SG_THREAT_DNS_NULL | \
	 1ULL << SG_THREAT_DNS_TUNNEL)
/* What is seen in the first bytes of connections, which then are looked at. */
#define SG_THREATS_OF_PAYLOAD \
	(1ULL << SG_THREAT_SSH_V1 | 1ULL << SG_THREAT_SSL | 1ULL << SG_THREAT_TLS_1_0 | 1ULL << SG_THREAT_TLS_1_1 | \
	 1ULL << SG_THREAT_TLS_WEAK_CIPHER | 1ULL << SG_THREAT_HEARTBLEED | 1ULL << SG_THREAT_SSL_CIPHER_OVERFLOW | \
	 1ULL << SG_THREAT_HTTP_NEGATIVE_LENGTH | 1ULL << SG_THREAT_HTTP_SMUGGLING)

enum { SG_DNS_PORT = 53 };

#endif
