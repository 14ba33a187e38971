/* SPDX-License-Identifier: GPL-2.0-only */
/* A packet's worker: which engine judges it, whether that lives, and what it is told through. Everything here goes by
 * seg_pair() of the packet (segctl_worker.h).
 *
 * API: seg_fold(), seg_is_icmp_error() and seg_read_quoted() make it; seg_worker_of(), seg_control_of() take it.
 */
#ifndef SEG_WORKER_H
#define SEG_WORKER_H

#include "lib/seg_headers.h"

/* Returns the XOR of an address's words, in host order. */
SEG_INLINE __u32 seg_fold(const __u8 *addr)
{
	__u32 words[4];

	__builtin_memcpy(words, addr, sizeof(words));
	return ntohl(words[0] ^ words[1] ^ words[2] ^ words[3]);
}

/* Whether an ICMP message of the type quotes a packet. */
SEG_INLINE int seg_is_icmp_error(__u8 family, __u8 type)
{
	if (family == SEG_FAMILY_IPV6)
		return type < SEG_ICMP6_ECHO;
	return (type >= 3 && type <= 5) || type == 11 || type == 12;
}

/* Reads the pair of the packet that is quoted at an offset, eight bytes at a time, as the stack is short. Returns 0, or
 * negative: it is cut short. */
SEG_INLINE int seg_read_quoted(struct __sk_buff *skb, __u8 family, __u32 offset, __u32 *pair)
{
	const __u32 from = offset + (family == SEG_FAMILY_IPV4 ? 12 : 8), count = family == SEG_FAMILY_IPV4 ? 1 : 4;
	__u32 all = 0, words[2];

	for (__u32 i = 0; i < count; i++) {
		if (bpf_skb_load_bytes(skb, from + i * sizeof(words), words, sizeof(words)) < 0)
			return -1;
		all ^= words[0] ^ words[1];
	}
	*pair = ntohl(all);
	return 0;
}

SEG_INLINE __u32 seg_worker_of(__u32 pair)
{
	__u32 zero = 0;
	const struct seg_control *first = seg_map_lookup(seg_control, &zero);

	return first ? seg_worker_of_pair(pair, first->workers) : 0;
}

/* Returns the state of the packet's worker. */
SEG_INLINE struct seg_control *seg_control_of(__u32 pair)
{
	__u32 worker = seg_worker_of(pair);

	return seg_map_lookup(seg_control, &worker);
}

#endif
