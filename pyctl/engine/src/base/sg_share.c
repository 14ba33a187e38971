/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The pace of the ports; see the header. In: what the loop measured. Out: a gap. Pure. */
#include "base/sg_share.h"

#define RATE_MIN 16384ULL		/* frames a second: an engine that judges fewer did not get a CPU */
#define GAP_MAX 10000000ULL
#define GAP_BUSY 250000ULL	/* the slowest pace for lack of idle time alone */
#define LIFT_NS 1000000000ULL
#define ALONE_NS 10000000000ULL
#define PILED 4				/* windows more than not */
#define BUSY_HIGH 307ULL		/* of 1024; above it, frames find the engine busy or waiting for a CPU */
#define BUSY_LOW 205ULL

static __u64 first_gap(const struct sg_share_load *load)
{
	__u64 rate = load->frames * 1000000000ULL / load->wall_ns;

	return 2 * 1000000000ULL / (rate > RATE_MIN ? rate : RATE_MIN);
}

static __u64 next_gap(const struct sg_share *share, const struct sg_share_load *load)
{
	__u64 gap = share->gap_ns;

	if (load->behind && (gap || share->piled >= PILED))
		return gap ? gap + gap / 3 + 1 : first_gap(load);
	if (load->hit & SEG_SHARE_NEAR)
		return gap - gap / 4;
	if (share->busy > BUSY_HIGH && gap < GAP_BUSY)
		return gap + gap / 16;
	if (share->busy < BUSY_LOW)
		return gap - gap / 256;
	return gap;
}

__u64 sg_share_decide(struct sg_share *share, const struct sg_share_load *load, __u64 now)
{
	__u64 idle = load->idle_ns < load->wall_ns ? load->idle_ns : load->wall_ns;

	share->busy = (7 * share->busy + 1024 - 1024 * idle / load->wall_ns) / 8;
	share->piled = load->behind ? share->piled + 1 : share->piled - !!share->piled;
	if (load->contended)
		share->contended_ns = now;
	if (load->behind || load->hit & SEG_SHARE_REFUSED)
		share->hit_ns = now;
	share->gap_ns = next_gap(share, load);
	if (share->gap_ns > GAP_MAX)
		share->gap_ns = GAP_MAX;
	if (now - share->hit_ns > LIFT_NS || now - share->contended_ns > ALONE_NS)
		share->gap_ns = 0;
	return share->gap_ns;
}

int sg_share_take(__u64 *due, __u64 now, __u64 gap, __u64 limit)
{
	if (*due > now + limit)
		return 1;
	*due = (*due > now ? *due : now) + gap;
	return 0;
}

static int is_greedy(struct seg_share *share, __u64 now, __u64 gap, __u64 limit)
{
	__u64 ahead = share->asked_ns > now ? share->asked_ns - now : 0;

	if (ahead < limit * 3)
		share->asked_ns = now + ahead + gap;
	return ahead > limit * 2;
}

int sg_share_ask(struct seg_share *share, __u64 now, __u64 gap, __u64 limit)
{
	int greedy = is_greedy(share, now, gap, limit);

	if (sg_share_take(&share->due_ns, now, greedy ? gap * SEG_SHARE_LEAVE : gap, limit))
		return greedy ? SEG_SHARE_REFUSED : SEG_SHARE_REFUSED | SEG_SHARE_NEAR;
	return !greedy && share->due_ns > now + limit / 2 ? SEG_SHARE_NEAR : 0;
}
