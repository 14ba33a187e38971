/* SPDX-License-Identifier: GPL-2.0-only */
/* What a frame is: the only place that reads packet bytes.
 *
 * API: seg_parse_link(), seg_parse_ip(), and small questions about a struct seg_pkt.
 * Returns SEG_R_NONE, or SEG_R_MALFORMED. Where the linear part of the frame ends before a header,
 * bpf_skb_load_bytes finds it in the page fragments: nothing is malformed for where its bytes lie.
 */
#ifndef SEG_PARSE_H
#define SEG_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "seg_maps.h"

enum seg_parse_limit {
	SEG_IP6_OPTION_HEADERS = 4,	/* hop-by-hop and destination options walked over */
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

struct seg_pkt {
	__u8 dmac[6];
	__u8 smac[6];
	__u16 ethertype;	/* host order */
	__u8 family;		/* enum seg_family, 0 until seg_parse_ip has accepted the header */
	__u8 proto;		/* of the last header reached */
	__u8 saddr[16];
	__u8 daddr[16];
	__u16 sport;		/* network order; as in the flow keys */
	__u16 dport;
	__u8 hop_limit;
	__u8 icmp_type;
	__u8 decidable;		/* the flow map may answer for it */
	__u8 closes;		/* TCP: enum seg_close. The flow map may let it pass, the engine is told */
	__u8 payload;		/* TCP: there are data behind the header */
	__u8 options;		/* IPv6 extension headers seen */
	__u32 l4;		/* offset of the last header reached */
	__u32 end;		/* where the IP packet ends; a frame may have padding behind it */
};

SEG_INLINE int seg_mac_equal(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
	       a[5] == b[5];
}

SEG_INLINE int seg_mac_is_group(const __u8 *mac)
{
	return mac[0] & 1;
}

SEG_INLINE int seg_mac_is_ucmac(const __u8 *mac)
{
	return mac[0] == SEG_UCMAC_0 && mac[1] == SEG_UCMAC_1 && mac[2] == SEG_UCMAC_2 &&
	       mac[3] == SEG_UCMAC_3;
}

/* A UCMAC, a TAPMAC or a BCMAC. */
SEG_INLINE int seg_mac_is_reserved(const __u8 *mac)
{
	if (mac[0] == SEG_UCMAC_0 && mac[1] == SEG_UCMAC_1 && mac[2] == SEG_UCMAC_2)
		return mac[3] == SEG_UCMAC_3 || mac[3] == SEG_TAPMAC_3;
	return mac[0] == SEG_BCMAC_0 && mac[1] == SEG_BCMAC_1 && mac[2] == SEG_BCMAC_2 &&
	       mac[3] == SEG_BCMAC_3;
}

SEG_INLINE __u16 seg_mac_port_id(const __u8 *ucmac)
{
	return (__u16)(ucmac[4] << 8 | ucmac[5]);
}

/* verifier: the direct read wants a constant offset and size; it saves a call for every header. */
SEG_INLINE int seg_read(struct __sk_buff *skb, const __u32 offset, void *to, const __u32 size)
{
	void *data = (void *)(long)skb->data;
	void *data_end = (void *)(long)skb->data_end;

	if (data + offset + size > data_end)
		return bpf_skb_load_bytes(skb, offset, to, size);
	__builtin_memcpy(to, data + offset, size);
	return 0;
}

/* A transport header: directly behind a plain IP header in all but rare packets. */
SEG_INLINE int seg_read_l4(struct __sk_buff *skb, __u32 offset, void *to, const __u32 size)
{
	if (offset == ETH_HLEN + sizeof(struct iphdr))
		return seg_read(skb, ETH_HLEN + sizeof(struct iphdr), to, size);
	if (offset == ETH_HLEN + sizeof(struct ipv6hdr))
		return seg_read(skb, ETH_HLEN + sizeof(struct ipv6hdr), to, size);
	return bpf_skb_load_bytes(skb, offset, to, size);
}

SEG_INLINE int seg_parse_link(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	struct ethhdr eth;

	__builtin_memset(pkt, 0, sizeof(*pkt));
	if (seg_read(skb, 0, &eth, sizeof(eth)) < 0)
		return SEG_R_MALFORMED;
	__builtin_memcpy(pkt->dmac, eth.h_dest, ETH_ALEN);
	__builtin_memcpy(pkt->smac, eth.h_source, ETH_ALEN);
	pkt->ethertype = ntohs(eth.h_proto);
	return SEG_R_NONE;
}

/* Ports, or type, code and identifier; and whether the kernel may decide on it: not on what opens a
 * connection, not on ICMP errors. Other protocols are the engine's. */
SEG_INLINE int seg_parse_l4(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	struct tcphdr tcp;
	struct udphdr udp;
	struct seg_icmphdr icmp;

	if (pkt->proto == IPPROTO_TCP) {
		if (pkt->l4 + sizeof(tcp) > pkt->end ||
		    seg_read_l4(skb, pkt->l4, &tcp, sizeof(tcp)) < 0)
			return SEG_R_MALFORMED;
		if (tcp.doff < 5 || pkt->l4 + tcp.doff * 4U > pkt->end)
			return SEG_R_MALFORMED;
		pkt->sport = tcp.source;
		pkt->dport = tcp.dest;
		pkt->closes = tcp.rst ? SEG_CLOSE_RST : tcp.fin ? SEG_CLOSE_FIN : 0;
		/* No connection has the others. */
		pkt->decidable = tcp.syn ? tcp.ack && !pkt->closes : tcp.ack || tcp.rst;
		pkt->payload = pkt->l4 + tcp.doff * 4U < pkt->end;
		return SEG_R_NONE;
	}
	if (pkt->proto == IPPROTO_UDP) {
		if (pkt->l4 + sizeof(udp) > pkt->end ||
		    seg_read_l4(skb, pkt->l4, &udp, sizeof(udp)) < 0)
			return SEG_R_MALFORMED;
		pkt->sport = udp.source;
		pkt->dport = udp.dest;
		pkt->decidable = 1;
		return SEG_R_NONE;
	}
	if (pkt->proto == (pkt->family == SEG_FAMILY_IPV4 ? IPPROTO_ICMP : SEG_IP6_ICMP)) {
		if (pkt->l4 + sizeof(icmp) > pkt->end ||
		    seg_read_l4(skb, pkt->l4, &icmp, sizeof(icmp)) < 0)
			return SEG_R_MALFORMED;
		pkt->icmp_type = icmp.type;
		pkt->sport = htons((__u16)(icmp.type << 8 | icmp.code));
		if (pkt->family == SEG_FAMILY_IPV4)
			pkt->decidable = icmp.type == SEG_ICMP_ECHO || icmp.type == SEG_ICMP_ECHO_REPLY;
		else
			pkt->decidable = icmp.type == SEG_ICMP6_ECHO || icmp.type == SEG_ICMP6_ECHO_REPLY;
		if (pkt->decidable)
			pkt->dport = icmp.id;
	}
	return SEG_R_NONE;
}

SEG_INLINE int seg_parse_ip4(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	struct iphdr ip;
	__u32 header, total;

	if (seg_read(skb, ETH_HLEN, &ip, sizeof(ip)) < 0)
		return SEG_R_MALFORMED;
	header = ip.ihl * 4U;
	total = ntohs(ip.tot_len);
	/* BIG TCP: a super-frame beyond 64 KiB says 0. */
	if (total == 0 && skb->gso_size)
		total = skb->len - ETH_HLEN;
	if (ip.version != 4 || header < sizeof(ip) || total < header || ETH_HLEN + total > skb->len)
		return SEG_R_MALFORMED;
	pkt->family = SEG_FAMILY_IPV4;
	pkt->proto = ip.protocol;
	pkt->hop_limit = ip.ttl;
	pkt->l4 = ETH_HLEN + header;
	pkt->end = ETH_HLEN + total;
	__builtin_memcpy(pkt->saddr, &ip.saddr, sizeof(ip.saddr));
	__builtin_memcpy(pkt->daddr, &ip.daddr, sizeof(ip.daddr));
	if (ip.frag_off & htons(SEG_IP_FRAGMENT))
		return SEG_R_NONE;
	return seg_parse_l4(skb, pkt);
}

SEG_INLINE int seg_parse_ip6(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	struct ipv6hdr ip;
	struct {
		__u8 next;
		__u8 len;
	} option;
	__u32 payload;

	if (seg_read(skb, ETH_HLEN, &ip, sizeof(ip)) < 0)
		return SEG_R_MALFORMED;
	payload = ntohs(ip.payload_len);
	/* Jumbograms (BIG TCP) say 0 and carry their length in a hop-by-hop option. */
	if (payload == 0 && (skb->gso_size || ip.nexthdr == SEG_IP6_HOPOPTS))
		payload = skb->len - ETH_HLEN - sizeof(ip);
	if (ip.version != 6 || ETH_HLEN + sizeof(ip) + payload > skb->len)
		return SEG_R_MALFORMED;
	pkt->family = SEG_FAMILY_IPV6;
	pkt->proto = ip.nexthdr;
	pkt->hop_limit = ip.hop_limit;
	pkt->l4 = ETH_HLEN + sizeof(ip);
	pkt->end = ETH_HLEN + sizeof(ip) + payload;
	__builtin_memcpy(pkt->saddr, &ip.saddr, sizeof(ip.saddr));
	__builtin_memcpy(pkt->daddr, &ip.daddr, sizeof(ip.daddr));
#pragma unroll
	for (int i = 0; i < SEG_IP6_OPTION_HEADERS; i++) {
		if (pkt->proto != SEG_IP6_HOPOPTS && pkt->proto != SEG_IP6_DSTOPTS)
			break;
		if (pkt->l4 + 8 > pkt->end ||
		    bpf_skb_load_bytes(skb, pkt->l4, &option, sizeof(option)) < 0)
			return SEG_R_MALFORMED;
		pkt->proto = option.next;
		pkt->l4 += (option.len + 1U) * 8;
		pkt->options = 1;
		if (pkt->l4 > pkt->end)
			return SEG_R_MALFORMED;
	}
	/* Fragments (atomic ones too), routing and unknown headers match nothing here: the engine's. */
	return seg_parse_l4(skb, pkt);
}

/* For ethertypes ETH_P_IP and ETH_P_IPV6. */
SEG_INLINE int seg_parse_ip(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	if (pkt->ethertype == ETH_P_IP)
		return seg_parse_ip4(skb, pkt);
	return seg_parse_ip6(skb, pkt);
}

/* DHCP before there is an address: 0.0.0.0 port 68 to port 67. */
SEG_INLINE int seg_is_dhcp_request(const struct seg_pkt *pkt)
{
	return pkt->proto == IPPROTO_UDP && pkt->sport == htons(68) && pkt->dport == htons(67);
}

/* RFC 4861 §6.1, 7.1, 8.1: the hop limit proves that no router forwarded it. */
SEG_INLINE int seg_is_neighbour_discovery(const struct seg_pkt *pkt)
{
	return pkt->family == SEG_FAMILY_IPV6 && pkt->proto == SEG_IP6_ICMP && !pkt->options &&
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

#endif
