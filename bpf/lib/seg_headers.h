/* SPDX-License-Identifier: GPL-2.0-only */
/* Headers and numbers of protocols for which linux/ has no header that works without the C library, and what IPv4
 * options say.
 *
 * API: seg_may_name_route().
 */
#ifndef SEG_HEADERS_H
#define SEG_HEADERS_H

#include <linux/if_ether.h>
#include <linux/ip.h>

#include "lib/seg_maps.h"

enum seg_parse_limit {
	SEG_IP6_OPTION_HEADERS = 4,	/* hop-by-hop and destination options walked over */
	SEG_VLAN_VID = 0x0fff,
	SEG_IP_FRAGMENT = 0x3fff,	/* IP_MF | IP_OFFSET: first fragments and later ones */
};

enum seg_ip6_header {
	SEG_IP6_HOPOPTS = 0, SEG_IP6_FRAGMENT = 44, SEG_IP6_ICMP = 58, SEG_IP6_DSTOPTS = 60,
};

enum seg_icmp {
	SEG_ICMP_ECHO_REPLY = 0, SEG_ICMP_ECHO = 8,
	SEG_ICMP6_ECHO = 128, SEG_ICMP6_ECHO_REPLY = 129,
	SEG_ND_FIRST = 133, SEG_ND_LAST = 137,
};

/* Echo's eight bytes; linux/icmp.h wants the C library. */
struct seg_icmphdr {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u16 id;
	__u16 sequence;
};

/* The common header, and the type of the first chunk: INIT stands alone (RFC 9260 §3.1). */
struct seg_sctphdr {
	__u16 source;
	__u16 dest;
	__u32 tag;
	__u32 checksum;
	__u8 chunk[4];
};
enum seg_sctp { SEG_SCTP_INIT = 1 };

enum seg_route {
	SEG_IP_LOOSE_ROUTE = 131, SEG_IP_STRICT_ROUTE = 137,
	SEG_IP_OPTION_WORDS = 10,
};

/* Whether IPv4 options of `length` bytes may name a route. Any byte with a source route's number counts, although it may
 * be another option's value: the engine reads the options exactly, and no verdict of the flow map holds for such a
 * packet. */
SEG_INLINE int seg_may_name_route(struct __sk_buff *skb, __u32 length)
{
	__u8 word[4];

#pragma unroll
	for (__u32 i = 0; i < SEG_IP_OPTION_WORDS; i++) {
		if (i * sizeof(word) >= length)
			return 0;
		if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr) + i * sizeof(word), word,
				       sizeof(word)) < 0)
			return 1;
#pragma unroll
		for (int j = 0; j < 4; j++)
			if (word[j] == SEG_IP_LOOSE_ROUTE || word[j] == SEG_IP_STRICT_ROUTE)
				return 1;
	}
	return 0;
}

#endif
