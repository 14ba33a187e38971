/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* See the header. */
#include "engine/sg_cpu_affinity_rule.h"

#define MS 1000000ull
#define BACKOFF_MIN_NS (500 * MS)
#define BACKOFF_MAX_NS (32000 * MS)
#define LASTED_NS (1000 * MS)
#define COMPARED_NS (100 * MS)	/* after pinning; later the traffic may differ */
#define WAIT_MAX_NS 100000ull	/* for a turn. After a busy thread it is a slice, milliseconds */

enum {
	AGREED = 2,		/* windows in a row */
	BAD = 2,		/* windows in a row: one may be the hypervisor's */
	DOUBT = 8,		/* two within so many windows */
	FRAMES_MAX = 4,		/* in a turn. A sender that waits sends one or two; a stream 20 and more */
	FRAMES_TELL = 300,	/* in 10 ms: from so many on, fewer frames mean a slower loop, not fewer detours */
};

static void backoff(struct sg_cpu_affinity_rule *rule, __u64 now)
{
	__u64 lasted = now - rule->pinned_since_ns;

	if (!rule->backoff_ns || (lasted >= LASTED_NS && lasted >= 2 * rule->backoff_ns) ||
	    (__s64)(now - rule->free_until_ns) >= (__s64)BACKOFF_MAX_NS)
		rule->backoff_ns = BACKOFF_MIN_NS;
	else if (rule->backoff_ns < BACKOFF_MAX_NS)
		rule->backoff_ns *= 2;
	rule->free_until_ns = now + rule->backoff_ns;
}

static __u64 frames_in_10_ms(const struct sg_cpu_affinity_load *load)
{
	return load->wall_ns ? load->frames * 10 * MS / load->wall_ns : 0;
}

static int while_free(struct sg_cpu_affinity_rule *rule, const struct sg_cpu_affinity_load *load, int cpu,
		      int queues, __u64 now)
{
	if (cpu == SG_CPU_ANY || queues)
		rule->agreed = 0;
	else
		rule->agreed = cpu == rule->candidate ? rule->agreed + 1 : 1;
	rule->candidate = cpu;
	rule->frames_free = frames_in_10_ms(load);
	return rule->agreed >= AGREED && now >= rule->free_until_ns ? cpu : SG_CPU_ANY;
}

static int while_pinned(struct sg_cpu_affinity_rule *rule, const struct sg_cpu_affinity_load *load, int cpu,
		      int queues, __u64 now)
{
	int slower = rule->frames_free >= FRAMES_TELL && now - rule->pinned_since_ns <= COMPARED_NS &&
		     4 * frames_in_10_ms(load) < 3 * rule->frames_free;

	rule->bad = slower || load->waited_ns > load->turns * WAIT_MAX_NS ? rule->bad + 1 : 0;
	if (cpu != rule->cpu)
		rule->doubt += DOUBT;
	else if (rule->doubt)
		rule->doubt--;
	if (!queues && rule->bad < BAD && rule->doubt <= DOUBT)
		return rule->cpu;
	/* If no single CPU sends any more, the pinned CPU was not wrong. */
	if (cpu != SG_CPU_ANY)
		backoff(rule, now);
	return SG_CPU_ANY;
}

int sg_cpu_affinity_decide(struct sg_cpu_affinity_rule *rule, const struct sg_cpu_affinity_load *load, __u64 now)
{
	int one = load->from != SEG_PRODUCER_NONE && load->from != SEG_PRODUCER_MANY;
	int cpu = one ? (int)(load->from - 1) : SG_CPU_ANY;
	int queues = load->frames > (__u64)load->turns * FRAMES_MAX;
	int to = rule->cpu == SG_CPU_ANY ? while_free(rule, load, cpu, queues, now) :
					      while_pinned(rule, load, cpu, queues, now);

	if (to != rule->cpu) {
		rule->agreed = rule->doubt = rule->bad = 0;
		rule->pinned_since_ns = now;
	}
	return rule->cpu = to;
}

void sg_cpu_affinity_override(struct sg_cpu_affinity_rule *rule, int cpu, __u64 now)
{
	rule->cpu = cpu;
	rule->agreed = rule->doubt = rule->bad = 0;
	backoff(rule, now);
}
