/* SPDX-License-Identifier: GPL-2.0-only */
/* Parses the headers of a frame up to the transport's; seg_arp_nd.h parses ARP and ND.
 *
 * API: seg_parse_link(), seg_parse_ip(), which return SEG_R_NONE or SEG_R_MALFORMED, and predicates of a struct seg_pkt.
 * A header beyond the linear part of the frame is read from the page fragments by bpf_skb_load_bytes.
 */
#ifndef SEG_PARSE_H
#define SEG_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "lib/seg_headers.h"
#include "lib/seg_worker.h"

struct seg_pkt {
	__u8 dmac[6];
	__u8 smac[6];
	__u16 ethertype;	/* host order */
	__u8 family;		/* enum seg_family, 0 until seg_parse_ip has accepted the header */
	__u8 proto;		/* of the last header reached */
	__u8 saddr[16];
	__u8 daddr[16];
	__u16 sport;		/* network order. ICMP: type << 8 | code, and an echo's identifier */
	__u16 dport;
	__u8 hop_limit;
	__u8 icmp_type;
	__u8 decidable;		/* the flow map may answer for it */
	__u8 known;		/* the flow map has an entry of its own, whatever it says */
	__u8 deferred;		/* an option may name a route or the length: only the engine reads options */
	__u8 opens;		/* TCP: a SYN that opens a connection; SCTP: INIT */
	__u8 closes;		/* TCP: enum seg_close; the flow map may let it pass, with a close event */
	__u8 payload;		/* TCP: it has data */
	__u8 options;		/* IPv4 options or IPv6 extension headers seen */
	__u8 fragment;		/* of IPv4 */
	__u8 quotes;		/* an ICMP error whose quoted packet is read: */
	__u16 l4;		/* offset of the last header reached */
	__u32 quoted;		/* both addresses there, for segctl_worker.h */
	__u32 end;		/* where the IP packet ends; padding may follow */
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

SEG_INLINE int seg_mac_is_bcmac(const __u8 *mac)
{
	return mac[0] == SEG_BCMAC_0 && mac[1] == SEG_BCMAC_1 && mac[2] == SEG_BCMAC_2 && mac[3] == SEG_BCMAC_3;
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
	return seg_mac_is_bcmac(mac);
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

/* Reads a transport header, which nearly always follows a plain IP header. */
SEG_INLINE int seg_read_l4(struct __sk_buff *skb, __u32 offset, void *to, const __u32 size)
{
	if (offset == ETH_HLEN + sizeof(struct iphdr))
		return seg_read(skb, ETH_HLEN + sizeof(struct iphdr), to, size);
	if (offset == ETH_HLEN + sizeof(struct ipv6hdr))
		return seg_read(skb, ETH_HLEN + sizeof(struct ipv6hdr), to, size);
	return bpf_skb_load_bytes(skb, offset, to, size);
}

SEG_INLINE int seg_is_vlan(const struct seg_pkt *pkt)
{
	return pkt->ethertype == ETH_P_8021Q || pkt->ethertype == ETH_P_8021AD;
}

/* A tag of VLAN 0 carries a priority only. */
SEG_INLINE int seg_has_priority_tag(const struct __sk_buff *skb)
{
	return skb->vlan_present && !(skb->vlan_tci & SEG_VLAN_VID);
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

/* Reads ports, or type, code and identifier, and whether the flow map may decide: never for a packet that opens a
 * connection, nor for an ICMP error. Other protocols are known by their number. */
SEG_INLINE int seg_parse_l4(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	struct tcphdr tcp;
	struct udphdr udp;
	struct seg_sctphdr sctp;
	struct seg_icmphdr icmp;
	__u32 length;

	if (pkt->proto == IPPROTO_TCP) {
		if (pkt->l4 + sizeof(tcp) > pkt->end ||
		    seg_read_l4(skb, pkt->l4, &tcp, sizeof(tcp)) < 0)
			return SEG_R_MALFORMED;
		if (tcp.doff < 5 || pkt->l4 + tcp.doff * 4U > pkt->end)
			return SEG_R_MALFORMED;
		pkt->sport = tcp.source;
		pkt->dport = tcp.dest;
		pkt->closes = tcp.rst ? SEG_CLOSE_RST : tcp.fin ? SEG_CLOSE_FIN : 0;
		/* Other flags belong to no connection. */
		pkt->decidable = tcp.syn ? tcp.ack && !pkt->closes : tcp.ack || tcp.rst;
		pkt->opens = tcp.syn && !tcp.ack && !pkt->closes;
		pkt->payload = pkt->l4 + tcp.doff * 4U < pkt->end;
		return SEG_R_NONE;
	}
	if (pkt->proto == IPPROTO_UDP) {
		if (pkt->l4 + sizeof(udp) > pkt->end ||
		    seg_read_l4(skb, pkt->l4, &udp, sizeof(udp)) < 0)
			return SEG_R_MALFORMED;
		pkt->sport = udp.source;
		pkt->dport = udp.dest;
		length = ntohs(udp.len);
		/* BIG UDP says 0; the engine refuses any other length that does not fit. */
		pkt->decidable = length ? length >= sizeof(udp) && pkt->l4 + length <= pkt->end :
					  skb->gso_size != 0;
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
		pkt->dport = pkt->decidable ? icmp.id : 0;
		pkt->decidable &= !icmp.code;
		if (seg_is_icmp_error(pkt->family, icmp.type) && (pkt->family == SEG_FAMILY_IPV4 || !pkt->options))
			pkt->quotes = seg_read_quoted(skb, pkt->family, pkt->l4 + sizeof(icmp), &pkt->quoted) >= 0;
		return SEG_R_NONE;
	}
	if (pkt->proto == IPPROTO_SCTP) {
		if (pkt->l4 + sizeof(sctp) > pkt->end ||
		    seg_read_l4(skb, pkt->l4, &sctp, sizeof(sctp)) < 0)
			return SEG_R_MALFORMED;
		pkt->sport = sctp.source;
		pkt->dport = sctp.dest;
		pkt->opens = sctp.chunk[0] == SEG_SCTP_INIT;
		pkt->decidable = !pkt->opens;
		return SEG_R_NONE;
	}
	/* The other family's ICMP is invalid. */
	pkt->decidable = !SEG_PROTO_IS_EXTENSION(pkt->proto) && pkt->proto != IPPROTO_ICMP &&
			 pkt->proto != SEG_IP6_ICMP;
	return SEG_R_NONE;
}

SEG_INLINE int seg_parse_ip4(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	struct iphdr ip;
	__u32 header, total;
	int reason;

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
	pkt->options = header > sizeof(ip);
	pkt->fragment = (ip.frag_off & htons(SEG_IP_FRAGMENT)) != 0;
	if (pkt->fragment)
		return SEG_R_NONE;
	reason = seg_parse_l4(skb, pkt);
	pkt->deferred = pkt->options && seg_may_name_route(skb, header - sizeof(ip));
	return reason;
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
		/* Hop-by-hop options are valid only as the first header. */
		if (pkt->proto != SEG_IP6_DSTOPTS && (i || pkt->proto != SEG_IP6_HOPOPTS))
			break;
		if (pkt->l4 + 8U > pkt->end ||
		    bpf_skb_load_bytes(skb, pkt->l4, &option, sizeof(option)) < 0)
			return SEG_R_MALFORMED;
		pkt->proto = option.next;
		pkt->l4 += (option.len + 1U) * 8;
		pkt->options = 1;
		if (pkt->l4 > pkt->end)
			return SEG_R_MALFORMED;
	}
	/* Fragments (atomic ones too), routing and unknown headers are left to the engine. */
	pkt->deferred = !ip.payload_len && !skb->gso_size;
	return seg_parse_l4(skb, pkt);
}

/* Returns what says which worker the packet is for. */
SEG_INLINE __u32 seg_pair(const struct seg_pkt *pkt)
{
	return pkt->quotes ? pkt->quoted : seg_fold(pkt->saddr) ^ seg_fold(pkt->daddr);
}

/* For ethertypes ETH_P_IP and ETH_P_IPV6. */
SEG_INLINE int seg_parse_ip(struct __sk_buff *skb, struct seg_pkt *pkt)
{
	if (pkt->ethertype == ETH_P_IP)
		return seg_parse_ip4(skb, pkt);
	return seg_parse_ip6(skb, pkt);
}

/* A DHCP client's message, which may come from 0.0.0.0. */
SEG_INLINE int seg_is_dhcp_request(const struct seg_pkt *pkt)
{
	return pkt->proto == IPPROTO_UDP && pkt->sport == htons(68) && pkt->dport == htons(67);
}

/* A DHCP server's message to a client, of either family. */
SEG_INLINE int seg_is_dhcp_answer(const struct seg_pkt *pkt)
{
	if (pkt->proto != IPPROTO_UDP)
		return 0;
	if (pkt->family == SEG_FAMILY_IPV4)
		return pkt->sport == htons(67) && pkt->dport == htons(68);
	return pkt->sport == htons(547) && pkt->dport == htons(546);
}

#endif
