/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Builds RST segments. In: the packet that must not pass. Out: one frame's bytes. */
#include "packet/sg_reset.h"

#include "packet/sg_ip.h"

/* `back`: to p's sender, else to its receiver. */
static __u32 put_rst(__u8 *bytes, const struct sg_packet *p, int back, __u32 seq, __u32 ack, int flags)
{
	struct sg_ip_head head = {
		.saddr = back ? p->daddr : p->saddr, .daddr = back ? p->saddr : p->daddr,
		.payload_len = SG_TCP_LEN, .family = p->family, .proto = SG_PROTO_TCP,
	};
	unsigned int address_len = p->family == SEG_FAMILY_IPV4 ? 4 : 16;
	__u32 sum = SG_PROTO_TCP + SG_TCP_LEN, head_len;
	__u8 *tcp;

	sg_put_eth(bytes, p, back);
	/* A group address is not valid as a source. */
	if (sg_mac_is_group(bytes + 6))
		return 0;
	head_len = SG_ETH_LEN + sg_put_ip(bytes + SG_ETH_LEN, &head);
	tcp = bytes + head_len;
	sg_put16(tcp, back ? p->dport : p->sport);
	sg_put16(tcp + 2, back ? p->sport : p->dport);
	sg_put32(tcp + 4, seq);
	sg_put32(tcp + 8, ack);
	tcp[12] = (SG_TCP_LEN / 4) << 4;
	tcp[13] = (__u8)flags;
	sum = sg_sum(head.saddr, address_len, sum);
	sum = sg_sum(head.daddr, address_len, sum);
	sg_put16(tcp + 16, sg_checksum(sg_sum(tcp, SG_TCP_LEN, sum)));
	return head_len + SG_TCP_LEN;
}

__u32 sg_reset_sender(const struct sg_packet *p, __u8 *bytes)
{
	__u32 length = p->payload_len + !!(p->tcp_flags & SG_SYN) + !!(p->tcp_flags & SG_FIN);

	if (p->tcp_flags & SG_RST)
		return 0;
	if (p->tcp_flags & SG_ACK)
		return put_rst(bytes, p, 1, p->ack, 0, SG_RST);
	return put_rst(bytes, p, 1, 0, p->seq + length, SG_RST | SG_ACK);
}

__u32 sg_reset_receiver(const struct sg_packet *p, __u8 *bytes)
{
	/* With ACK it is accepted in SYN_SENT too. */
	return put_rst(bytes, p, 0, p->seq, p->ack, SG_RST | (p->tcp_flags & SG_ACK));
}
