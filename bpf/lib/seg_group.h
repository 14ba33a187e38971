/* SPDX-License-Identifier: GPL-2.0-only */
/* Classifies group traffic and link control, and computes the MAC of a group.
 *
 * API: seg_is_neighbour_discovery(), seg_is_membership(), seg_is_link_control(), seg_to_l3_group(),
 * seg_group_mac().
 */
#ifndef SEG_GROUP_H
#define SEG_GROUP_H

#include "lib/seg_parse.h"

enum seg_membership {
	SEG_IGMP_IP_LEN = 24,		/* with the router alert option */
	SEG_MLD_QUERY = 130, SEG_MLD_REPORT = 131, SEG_MLD_DONE = 132, SEG_MLD2_REPORT = 143,
};

/* RFC 4861 §6.1, 7.1, 8.1: the hop limit proves that no router forwarded it. */
SEG_INLINE int seg_is_neighbour_discovery(const struct seg_pkt *pkt)
{
	return pkt->family == SEG_FAMILY_IPV6 && pkt->proto == SEG_IP6_ICMP &&
	       pkt->hop_limit == 255 && pkt->icmp_type >= SEG_ND_FIRST &&
	       pkt->icmp_type <= SEG_ND_LAST;
}

SEG_INLINE int seg_to_l3_group(const struct seg_pkt *pkt)
{
	if (pkt->family == SEG_FAMILY_IPV6)
		return pkt->daddr[0] == 0xff;
	return (pkt->daddr[0] & 0xf0) == 0xe0 ||
	       (pkt->daddr[0] & pkt->daddr[1] & pkt->daddr[2] & pkt->daddr[3]) == 0xff;
}

/* IGMP and MLD that stay on their link. */
SEG_INLINE int seg_is_membership(const struct seg_pkt *pkt)
{
	if (pkt->hop_limit != 1 || pkt->deferred || !seg_mac_is_group(pkt->dmac) || !seg_to_l3_group(pkt))
		return 0;
	if (pkt->family == SEG_FAMILY_IPV4)
		return pkt->daddr[0] != 0xff && pkt->proto == IPPROTO_IGMP && !pkt->fragment &&
		       pkt->l4 <= ETH_HLEN + SEG_IGMP_IP_LEN;
	return pkt->proto == SEG_IP6_ICMP &&
	       ((pkt->icmp_type >= SEG_MLD_QUERY && pkt->icmp_type <= SEG_MLD_DONE) ||
		pkt->icmp_type == SEG_MLD2_REPORT);
}

/* IEEE 802.1Q table 8-1: what no bridge forwards (spanning tree, LLDP, LACP, 802.1X). */
SEG_INLINE int seg_is_link_control(const struct seg_pkt *pkt)
{
	const __u8 *mac = pkt->dmac;

	return mac[0] == 0x01 && mac[1] == 0x80 && mac[2] == 0xc2 && !mac[3] && !mac[4] &&
	       !(mac[5] & 0xf0);
}

/* Writes the MAC for the IP packet's destination group; broadcast for an address that is not multicast. Returns 0 or a
 * negative error. */
SEG_INLINE int seg_group_mac(struct __sk_buff *skb, const struct seg_pkt *pkt, __u8 *mac)
{
	__u8 low[4] = { 0xff, 0xff, 0xff, 0xff };
	const __u32 daddr4 = ETH_HLEN + 16, daddr6_low = ETH_HLEN + 36;

	mac[0] = mac[1] = 0xff;
	if (pkt->ethertype == ETH_P_IPV6) {
		if (bpf_skb_load_bytes(skb, daddr6_low, low, sizeof(low)) < 0)
			return -1;
		mac[0] = mac[1] = 0x33;
	} else if (pkt->ethertype == ETH_P_IP) {
		if (bpf_skb_load_bytes(skb, daddr4, low, sizeof(low)) < 0)
			return -1;
		if ((low[0] & 0xf0) == 0xe0) {
			mac[0] = 0x01;
			mac[1] = 0x00;
			low[0] = 0x5e;
			low[1] &= 0x7f;
		} else {
			low[0] = low[1] = low[2] = low[3] = 0xff;
		}
	}
	__builtin_memcpy(mac + 2, low, sizeof(low));
	return 0;
}

#endif
