/* SPDX-License-Identifier: GPL-2.0-only */
/* Carries out verdicts: the only place that drops frames or sends them on.
 *
 * API: seg_unless_recorded() and seg_finish() for vex and vin, seg_drop() and seg_send() for vbr, seg_done() for
 * vth. Returns TC_ACT_*.
 */
#ifndef SEG_FINISH_H
#define SEG_FINISH_H

#include <linux/pkt_cls.h>

#include "lib/seg_check.h"
#include "lib/seg_count.h"

/* Drops the frame in every mode. */
SEG_INLINE int seg_drop(struct __sk_buff *skb, const struct seg_pkt *pkt, __u16 port_id, __u8 dir,
			__u16 reason)
{
	seg_count(skb, pkt, port_id, dir, reason, 0);
	return TC_ACT_SHOT;
}

/* Ends a frame that its receiver has read already: no loss, so it is not counted. */
SEG_INLINE int seg_done(void)
{
	return TC_ACT_SHOT;
}

/* Whether the port's mode only records this reason. A tap drops only forged detour MACs and stolen sources. */
SEG_INLINE int seg_only_records(const struct seg_port *port, __u16 reason)
{
	return seg_is_tap_mode(port) && reason != SEG_R_FORGED_UCMAC && !seg_is_theft(reason);
}

/* Records a reason about addresses where the mode only records; the frame is then inspected, because its MACs are right.
 * Otherwise returns the reason. */
SEG_INLINE int seg_unless_recorded(struct __sk_buff *skb, const struct seg_pkt *pkt,
				   const struct seg_port *port, __u8 dir, int reason)
{
	if (!reason || !seg_only_records(port, (__u16)reason))
		return reason;
	seg_count(skb, pkt, port->port_id, dir, (__u16)reason, 1);
	return SEG_R_NONE;
}

/* bpf_redirect_peer saves a queue, but marks the frame as addressed to its receiver, so it is used only where that is
 * true. Other frames go through the device.
 *
 * For unicast frames to a bridge's port it was tried and dropped. A TCP round trip between two containers, one of them
 * attached, both ends in one thread, two instances of each way in turn, fifth percentile of three runs: 3,700 ns without
 * us, 4,620 to 4,750 as it is.
 *  - For each of them: 4,360 to 4,630. A promiscuous bridge takes them for its own, so a host that routes doubles
 *    them, and a native XDP program on the port sees none (tests/datapath/test_bridged_egress.py).
 *  - Only while the bridge is not promiscuous and the port has no XDP program: both are in force before userland hears of
 *    them. By the watch of links a new XDP program on a routed end missed the frames of 50 to 110 ms (busy machine).
 *  - With a program on the tc ingress of the host's end that makes them PACKET_OTHERHOST again: none is doubled, but
 *    the program's run costs what the queue did: 4,670 to 4,750.
 *  - For those to the bridge's own MAC, which the bridge itself marks so: between container and host 60 ns of 4,000,
 *    where two instances of one way differ by 100, and an XDP program is passed by while no agent runs. */
SEG_INLINE int seg_send(struct __sk_buff *skb, const __u8 *dmac, const __u8 *redirect_peer_dmac, __u32 flags,
			__u32 ifindex)
{
	if (flags & SEG_PORT_PEER_OK && seg_mac_equal(dmac, redirect_peer_dmac))
		return bpf_redirect_peer(ifindex, 0);
	/* seg_to_port() checks it. A veth clears it on the way to another namespace. */
	skb->mark = SEG_MARK;
	return bpf_redirect(ifindex, 0);
}

/* Replaces the workload's MAC, which the direction determines. It uses bpf_skb_store_bytes, because with a direct write
 * the kernel would unshare every frame, also unchanged ones. Returns 0 or a negative error. */
SEG_INLINE int seg_set_own_mac(struct __sk_buff *skb, const struct seg_port *port, const __u8 *mac)
{
	return bpf_skb_store_bytes(skb, port->role == SEG_ROLE_VEX ? 0 : ETH_ALEN, (void *)mac,
				   ETH_ALEN, 0);
}

/* Writes the port's UCMAC or TAPMAC; `fourth` is its fourth byte. Returns 0 or a negative error. */
SEG_INLINE int seg_mark(struct __sk_buff *skb, const struct seg_port *port, __u8 fourth)
{
	__u8 mac[ETH_ALEN] = { SEG_UCMAC_0, SEG_UCMAC_1, SEG_UCMAC_2, fourth,
			       (__u8)(port->port_id >> 8), (__u8)port->port_id };

	return seg_set_own_mac(skb, port, mac);
}

/* Marks the frame as held for the engine. A group frame gets a BCMAC, from which seg_group_mac() restores its MAC.
 * Returns 0 or a negative error. */
SEG_INLINE int seg_hold(struct __sk_buff *skb, const struct seg_pkt *pkt, const struct seg_port *port)
{
	__u8 mac[ETH_ALEN] = { SEG_BCMAC_0, SEG_BCMAC_1, SEG_BCMAC_2, SEG_BCMAC_3,
			       (__u8)(port->port_id >> 8), (__u8)port->port_id };

	if (port->role == SEG_ROLE_VEX && seg_mac_is_group(pkt->dmac))
		return seg_set_own_mac(skb, port, mac);
	return seg_mark(skb, port, SEG_UCMAC_3);
}

/* Sends the engine a copy and restores the frame. Returns the reason to count. */
SEG_INLINE __u16 seg_copy(struct __sk_buff *skb, const struct seg_pkt *pkt,
			  const struct seg_port *port)
{
	int failed;

	if (seg_mark(skb, port, SEG_TAPMAC_3) < 0)
		return SEG_R_COPY_FAILED;
	failed = bpf_clone_redirect(skb, SEG_VBR_IFINDEX, 0);
	if (seg_set_own_mac(skb, port, port->role == SEG_ROLE_VEX ? pkt->dmac : pkt->smac) < 0)
		return SEG_R_SEND_FAILED;
	return failed ? SEG_R_COPY_FAILED : SEG_R_TO_ENGINE;
}

/* The single exit of every frame that entered on vex or vin. */
SEG_INLINE int seg_finish(struct __sk_buff *skb, const struct seg_pkt *pkt,
			  const struct seg_port *port, __u8 dir, __u16 reason)
{
	int held = 0, drop, passed;

	if (reason == SEG_R_TO_ENGINE && seg_is_tap_mode(port)) {
		reason = seg_copy(skb, pkt, port);
	} else if (reason == SEG_R_TO_ENGINE) {
		held = 1;
		if (seg_hold(skb, pkt, port) < 0)
			reason = SEG_R_SEND_FAILED;
	}
	/* Fails only with -ENOMEM; with a wrong MAC the frame must not go on. */
	if (reason == SEG_R_SEND_FAILED)
		return seg_drop(skb, pkt, port->port_id, dir, reason);
	drop = seg_is_drop(reason);
	passed = drop && seg_only_records(port, reason);
	seg_count(skb, pkt, port->port_id, dir, reason, passed);
	if (drop && !passed)
		return TC_ACT_SHOT;
	if (held)
		return bpf_redirect(SEG_VBR_IFINDEX, 0);
	return seg_send(skb, pkt->dmac, port->redirect_peer_dmac, port->flags, port->peer_ifindex);
}

#endif
