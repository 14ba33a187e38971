/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Builds RST segments. In: the packet that must not pass. Out: one frame through sg_send.
 * The detour's MACs need no lookup: p's own pair leads on to its receiver, and swapped, back to
 * its sender (a UCMAC as source turns into one as destination, that is: the other direction). */
#include "packet/sg_reset.h"

#include "packet/sg_ip.h"

struct rst {
	const __u8 *to_mac;
	const __u8 *from_mac;
	const __u8 *saddr;
	const __u8 *daddr;
	__u16 sport;
	__u16 dport;
	__u32 seq;
	__u32 ack;
	__u8 flags;
};

static void build_tcp(__u8 *tcp, const struct rst *r, unsigned int address_len)
{
	__u32 sum = SG_PROTO_TCP + SG_TCP_LEN;

	sg_put16(tcp, r->sport);
	sg_put16(tcp + 2, r->dport);
	sg_put32(tcp + 4, r->seq);
	sg_put32(tcp + 8, r->ack);
	tcp[12] = (SG_TCP_LEN / 4) << 4;
	tcp[13] = r->flags;
	sum = sg_sum(r->saddr, address_len, sum);
	sum = sg_sum(r->daddr, address_len, sum);
	sg_put16(tcp + 16, sg_checksum(sg_sum(tcp, SG_TCP_LEN, sum)));
}

static void send_rst(struct sg_core *core, struct sg_port *port, const struct sg_packet *p,
		     const struct rst *r)
{
	__u8 bytes[SG_ETH_LEN + SG_IPV6_LEN + SG_TCP_LEN] = { 0 };
	__u8 *ip = bytes + SG_ETH_LEN;
	struct sg_frame frame = {
		.made = 1,
		.data = bytes,
		.vlan_tci = p->frame->vlan_tci,
		.vlan_tpid = p->frame->vlan_tpid,
		.has_vlan = p->frame->has_vlan,
	};
	struct sg_ip_head head = {
		.saddr = r->saddr, .daddr = r->daddr, .payload_len = SG_TCP_LEN,
		.family = p->family, .proto = SG_PROTO_TCP,
	};
	__u32 head_len;

	/* A group address has no business as a source. */
	if (r->from_mac[0] & 1)
		return;
	memcpy(bytes, r->to_mac, 6);
	memcpy(bytes + 6, r->from_mac, 6);
	sg_put16(bytes + 12, p->ethertype);
	head_len = sg_put_ip(ip, &head);
	build_tcp(ip + head_len, r, p->family == SEG_FAMILY_IPV4 ? 4 : 16);
	frame.len = SG_ETH_LEN + head_len + SG_TCP_LEN;
	frame.wire_len = frame.len;
	sg_send(core, port, &frame);
}

void sg_reset_sender(struct sg_core *core, struct sg_port *port, const struct sg_packet *p)
{
	const __u8 *macs = p->frame->data;
	__u32 length = p->payload_len + !!(p->tcp_flags & SG_SYN) + !!(p->tcp_flags & SG_FIN);
	struct rst r = {
		.to_mac = macs + 6, .from_mac = macs, .saddr = p->daddr, .daddr = p->saddr,
		.sport = p->dport, .dport = p->sport,
	};

	if (p->tcp_flags & SG_RST)
		return;
	if (p->tcp_flags & SG_ACK) {
		r.flags = SG_RST;
		r.seq = p->ack;
	} else {
		r.flags = SG_RST | SG_ACK;
		r.ack = p->seq + length;
	}
	send_rst(core, port, p, &r);
}

void sg_reset_receiver(struct sg_core *core, struct sg_port *port, const struct sg_packet *p)
{
	const __u8 *macs = p->frame->data;
	struct rst r = {
		.to_mac = macs, .from_mac = macs + 6, .saddr = p->saddr, .daddr = p->daddr,
		.sport = p->sport, .dport = p->dport, .seq = p->seq, .ack = p->ack,
		/* With ACK it is taken in SYN_SENT too. */
		.flags = (__u8)(SG_RST | (p->tcp_flags & SG_ACK)),
	};

	send_rst(core, port, p, &r);
}
