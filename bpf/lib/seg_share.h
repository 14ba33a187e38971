/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits each port's share of the engine while the engine is overloaded.
 *
 * API: seg_share_is_over(). The engine sets one gap between packets for all ports (seg_control.share_gap_ns), so a port
 * that needs less is not held back. Virtual scheduling (ITU-T I.371): one timestamp for each sender, no timer. A second
 * timestamp counts refused packets too: a sender that is far ahead in it is greedy. Within a port a peer has half of the
 * rate and an IPv6 network three quarters, so one peer cannot lock others out. Two CPUs may let one packet more through.
 */
#ifndef SEG_SHARE_H
#define SEG_SHARE_H

#include "lib/seg_parse.h"

#define SEG_SHARE_MIX 0x9e3779b97f4a7c15ULL

/* Whether the sender went on for as much again after it was refused. */
SEG_INLINE int seg_share_is_greedy(struct seg_share *share, __u64 now, __u64 gap, __u64 limit)
{
	__u64 ahead = (__s64)(share->asked_ns - now) > 0 ? share->asked_ns - now : 0;

	if (ahead < limit * 3)
		share->asked_ns = now + ahead + gap;
	return ahead > limit * 2;
}

/* Charges one packet; returns bits of enum seg_share_hit. */
SEG_INLINE int seg_share_take(void *shares, __u32 index, __u64 now, __u64 gap, __u64 limit)
{
	struct seg_share *share = bpf_map_lookup_elem_((__u64)shares, &index);
	int greedy;

	if (!share)
		return 0;
	greedy = seg_share_is_greedy(share, now, gap, limit);
	if ((__s64)(share->due_ns - now) > (__s64)limit)
		return greedy ? SEG_SHARE_REFUSED : SEG_SHARE_REFUSED | SEG_SHARE_NEAR;
	if (greedy)
		gap *= SEG_SHARE_LEAVE;
	if ((__s64)(now - share->due_ns) > 0)
		share->due_ns = now + gap;
	else
		__sync_fetch_and_add(&share->due_ns, gap);
	return !greedy && (__s64)(share->due_ns - now) > (__s64)(limit / 2) ? SEG_SHARE_NEAR : 0;
}

SEG_INLINE __u64 seg_share_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * SEG_SHARE_MIX;
	return hash ^ hash >> 32;
}

SEG_INLINE __u32 seg_share_peer(__u64 hash)
{
	return SEG_SHARE_PORTS + (__u32)(hash * SEG_SHARE_MIX >> 48);
}

/* Whether the packet's port, or its peer there, has used up its share. */
SEG_INLINE int seg_share_is_over(struct seg_control *control, const struct seg_pkt *pkt,
				 const struct seg_port *port)
{
	int inbound = port->role == SEG_ROLE_VEX;
	__u32 own = port->port_id * 2U + (__u32)inbound;
	__u64 gap = control->share_gap_ns, limit = control->share_ahead_ns, now = bpf_ktime_get_ns();
	__u64 hash = seg_share_mix(control->share_seed, own), words[2];
	__u32 worker = seg_worker_of(seg_pair(pkt));
	void *shares = seg_map_lookup(seg_shares, &worker);
	int hit;

	if (!shares)
		return 0;
	__builtin_memcpy(words, inbound ? pkt->saddr : pkt->daddr, sizeof(words));
	hash = seg_share_mix(hash, words[0]);
	hit = seg_share_take(shares, seg_share_peer(seg_share_mix(hash, words[1])), now, gap * 2, limit);
	if (!(hit & SEG_SHARE_REFUSED) && pkt->family == SEG_FAMILY_IPV6)
		hit |= seg_share_take(shares, seg_share_peer(hash), now, gap + gap / 3, limit);
	if (!(hit & SEG_SHARE_REFUSED))
		hit |= seg_share_take(shares, own, now, gap, limit);
	if (hit & ~control->share_hit)
		control->share_hit |= hit;
	return hit & SEG_SHARE_REFUSED;
}

#endif
