/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks where a device will write an unfinished checksum: a workload with a packet socket chooses the place, and could
 * so change two bytes of a packet after the verdict. __sk_buff does not show the place, so it is read from struct
 * sk_buff, whose layout the loader takes from BTF (0: unknown, not checked).
 *
 * API: seg_check_csum().
 */
#ifndef SEG_CSUM_H
#define SEG_CSUM_H

#include "lib/seg_parse.h"

enum seg_csum_value {
	SEG_CHECKSUM_PARTIAL = 3,
	SEG_CSUM_TCP = 16, SEG_CSUM_UDP = 6, SEG_CSUM_SCTP = 8, SEG_CSUM_ICMP = 2,
	SEG_CSUM_BEYOND = 8,		/* bytes of a transport header that anything is judged by */
};

/* Returns the offset of the protocol's checksum in its header; 0xff: it has none. */
SEG_INLINE __u32 seg_csum_place(const struct seg_pkt *pkt)
{
	switch (pkt->proto) {
	case IPPROTO_TCP:
		return SEG_CSUM_TCP;
	case IPPROTO_UDP:
		return SEG_CSUM_UDP;
	case IPPROTO_SCTP:
		return SEG_CSUM_SCTP;
	case IPPROTO_ICMP:
	case SEG_IP6_ICMP:
		return SEG_CSUM_ICMP;
	default:
		return 0xff;
	}
}

/* Only the transport header's own checksum may be unfinished, or one after all bytes that a verdict depends on (a
 * tunnel's inner one). Anything else is dropped in every mode, because it could forge an address. */
SEG_INLINE int seg_check_csum(struct __sk_buff *skb, const struct seg_pkt *pkt)
{
	struct {
		__u16 start;
		__u16 offset;
	} csum;
	__u64 ends[2];
	__u8 summed;
	__s32 field;

	if (!SEG_SKB_CSUM_START)
		return SEG_R_NONE;
	if (bpf_probe_read_kernel(&summed, sizeof(summed), (void *)skb + SEG_SKB_IP_SUMMED) ||
	    (summed >> SEG_SKB_IP_SUMMED_SHIFT & 3) != SEG_CHECKSUM_PARTIAL)
		return SEG_R_NONE;
	if (!pkt->family || pkt->fragment ||
	    bpf_probe_read_kernel(&csum, sizeof(csum), (void *)skb + SEG_SKB_CSUM_START) ||
	    bpf_probe_read_kernel(ends, sizeof(ends), (void *)skb + SEG_SKB_HEAD))
		return SEG_R_CSUM_PLACE;
	/* csum_start counts from skb->head, here all counts from skb->data. */
	field = (__s32)(csum.start + csum.offset - (__u32)(ends[1] - ends[0]) - pkt->l4);
	if (field == (__s32)seg_csum_place(pkt))
		return SEG_R_NONE;
	return field < (pkt->proto == IPPROTO_TCP ? SEG_CSUM_TCP : SEG_CSUM_BEYOND) ? SEG_R_CSUM_PLACE :
										      SEG_R_NONE;
}

#endif
