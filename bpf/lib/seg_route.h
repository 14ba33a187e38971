/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether IPv4 options may name a route of their own.
 *
 * API: seg_may_name_route(). Any byte with a source route's number counts, as another option's value may have
 * it too: the engine reads them exactly, and no verdict of the flow map holds for such a packet.
 */
#ifndef SEG_ROUTE_H
#define SEG_ROUTE_H

#include <linux/if_ether.h>
#include <linux/ip.h>

#include "lib/seg_maps.h"

enum seg_route {
	SEG_IP_LOOSE_ROUTE = 131, SEG_IP_STRICT_ROUTE = 137,
	SEG_IP_OPTION_WORDS = 10,
};

/* `length` is that of the options. */
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
