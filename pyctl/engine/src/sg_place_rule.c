/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* See the header. */
#include "sg_place_rule.h"

#define MS 1000000ull
#define LASTED_NS (1000 * MS)
#define HOLD_OFF_MIN_NS (500 * MS)
#define HOLD_OFF_MAX_NS (32000 * MS)
#define WAIT_MAX_NS 100000ull	/* for a turn. Behind a busy thread it is a slice, milliseconds */

enum { AGREED = 2, DOUBTED = 2 };	/* windows in a row */

static void stay_away(struct sg_place_rule *rule, __u64 now)
{
	if (now - rule->held_since_ns >= LASTED_NS || !rule->hold_off_ns)
		rule->hold_off_ns = HOLD_OFF_MIN_NS;
	else if (rule->hold_off_ns < HOLD_OFF_MAX_NS)
		rule->hold_off_ns *= 2;
	rule->free_until_ns = now + rule->hold_off_ns;
}

static int decide(struct sg_place_rule *rule, const struct sg_place_load *load, __u64 now)
{
	int one = load->from != SEG_FROM_NONE && load->from != SEG_FROM_MANY;
	int cpu = one ? (int)load->from - 1 : SG_PLACE_FREE;
	int crowded = 4 * (load->ran_ns + load->waited_ns) >= 3 * load->wall_ns;

	if (rule->cpu == SG_PLACE_FREE) {
		rule->agreed = !one || crowded ? 0 : cpu == rule->candidate ? rule->agreed + 1 : 1;
		rule->candidate = cpu;
		return rule->agreed >= AGREED && now >= rule->free_until_ns ? cpu : SG_PLACE_FREE;
	}
	if (crowded || load->waited_ns > load->turns * WAIT_MAX_NS) {
		stay_away(rule, now);
		return SG_PLACE_FREE;
	}
	rule->doubted = cpu == rule->cpu ? 0 : rule->doubted + 1;
	return rule->doubted < DOUBTED ? rule->cpu : SG_PLACE_FREE;
}

int sg_place_decide(struct sg_place_rule *rule, const struct sg_place_load *load, __u64 now)
{
	int cpu = decide(rule, load, now);

	if (cpu != rule->cpu) {
		rule->agreed = rule->doubted = 0;
		rule->held_since_ns = now;
	}
	return rule->cpu = cpu;
}
