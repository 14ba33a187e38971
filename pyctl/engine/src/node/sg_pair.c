/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* First match, compiled; see the header. In: rules in order. Out: steps over ports. No I/O.
 * The ports at which anything begins or ends cut a table into slots. Rules take, in their order, what
 * slots of theirs are still free; `next` jumps over those that are not, so a slot is visited once. */
#include "node/sg_pair.h"

#include <stdlib.h>
#include <string.h>

#include "packet/sg_packet.h"

struct item {
	__u32 low;
	__u32 high;
	__u32 rule;		/* index + 1 */
};

struct slots {
	__u32 *bounds;		/* first port of each */
	__u32 *next;		/* the first free slot from here on */
	__u32 *rules;
	__u32 count;
};

static int compare(const void *a, const void *b)
{
	const __u32 *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static __u32 slot_of(const struct slots *s, __u32 port)
{
	__u32 from = 0, count = s->count;

	while (count > 1) {
		__u32 half = count / 2;

		if (s->bounds[from + half] <= port) {
			from += half;
			count -= half;
		} else {
			count = half;
		}
	}
	return from;
}

static __u32 next_free(struct slots *s, __u32 at)
{
	__u32 end = at, step;

	while (end < s->count && s->next[end] != end)
		end = s->next[end];
	for (; at < end; at = step) {
		step = s->next[at];
		s->next[at] = end;
	}
	return end;
}

static void cut(struct slots *s, const struct item *items, __u32 count)
{
	__u32 kept = 1;

	s->bounds[0] = 0;
	s->count = 1;
	for (__u32 i = 0; i < count; i++) {
		s->bounds[s->count++] = items[i].low;
		if (items[i].high < SG_ANY_PORT_HI)
			s->bounds[s->count++] = items[i].high + 1;
	}
	qsort(s->bounds, s->count, sizeof(*s->bounds), compare);
	for (__u32 i = 1; i < s->count; i++)
		if (s->bounds[i] != s->bounds[kept - 1])
			s->bounds[kept++] = s->bounds[i];
	s->count = kept;
	for (__u32 i = 0; i < kept; i++) {
		s->next[i] = i;
		s->rules[i] = 0;
	}
}

/* Writes the table's steps; how many. */
static __u32 fill(struct slots *s, const struct item *items, __u32 count, struct sg_step *out)
{
	__u32 steps = 0;

	cut(s, items, count);
	for (__u32 i = 0; i < count; i++)
		for (__u32 at = next_free(s, slot_of(s, items[i].low));
		     at < s->count && s->bounds[at] <= items[i].high; at = next_free(s, at)) {
			s->rules[at] = items[i].rule;
			s->next[at] = at + 1;
		}
	for (__u32 i = 0; i < s->count; i++)
		if (!steps || out[steps - 1].rule != s->rules[i])
			out[steps++] = (struct sg_step){ s->bounds[i], s->rules[i] };
	return steps;
}

static const __u8 PROTOS[SG_PAIR_STAGED] = {
	[SG_PAIR_TCP] = SG_PROTO_TCP, [SG_PAIR_UDP] = SG_PROTO_UDP, [SG_PAIR_SCTP] = SG_PROTO_SCTP,
	[SG_PAIR_ICMP] = SG_PROTO_ICMP, [SG_PAIR_ICMPV6] = SG_PROTO_ICMPV6,
};

static __u32 collect(const struct sg_node_rule *rules, const struct sg_node_spec *specs,
		     const __u32 *candidates, __u32 count, __u32 table, struct item *items)
{
	__u8 proto = PROTOS[table % SG_PAIR_STAGED];
	__u32 found = 0;

	for (__u32 i = 0; i < count; i++) {
		const struct sg_node_rule *rule = &rules[candidates[i]];

		if (rule->flags & SG_RULE_STAGED && table < SG_PAIR_STAGED)
			continue;
		/* No other protocol has applications. */
		if (rule->apps && proto != SG_PROTO_TCP && proto != SG_PROTO_UDP)
			continue;
		for (__u32 j = 0; j < rule->specs; j++) {
			const struct sg_node_spec *spec = &specs[rule->first_spec + j];

			if (spec->proto && spec->proto != proto)
				continue;
			items[found++] = (struct item){ spec->port_lo, spec->port_hi, candidates[i] + 1 };
			/* Nothing is left for those behind. */
			if (spec->port_lo == 0 && spec->port_hi == SG_ANY_PORT_HI)
				return found;
		}
	}
	return found;
}

struct sg_pair *sg_pair_compile(const struct sg_node_rule *rules, const struct sg_node_spec *specs,
				const __u32 *candidates, __u32 count)
{
	struct sg_pair *pair = NULL, *fitting;
	struct slots slots = { 0 };
	struct item *items;
	size_t most = 1;
	__u8 flags = 0;

	for (__u32 i = 0; i < count; i++) {
		most += rules[candidates[i]].specs;
		flags |= rules[candidates[i]].flags;
	}
	items = malloc(most * sizeof(*items));
	slots.bounds = malloc(most * 2 * sizeof(*slots.bounds));
	slots.next = malloc(most * 2 * sizeof(*slots.next));
	slots.rules = malloc(most * 2 * sizeof(*slots.rules));
	if (items && slots.bounds && slots.next && slots.rules)
		pair = malloc(sizeof(*pair) + SG_PAIR_TABLES * most * 2 * sizeof(struct sg_step));
	if (pair) {
		pair->first[0] = pair->by_facts = 0;
		for (__u32 t = 0; t < SG_PAIR_TABLES; t++) {
			__u32 found = 0, steps = 0;

			if (t < SG_PAIR_STAGED || flags & SG_RULE_STAGED) {
				found = collect(rules, specs, candidates, count, t, items);
				steps = fill(&slots, items, found, &pair->steps[pair->first[t]]);
			}
			pair->first[t + 1] = pair->first[t] + steps;
		}
		fitting = realloc(pair, sg_pair_size(pair));
		pair = fitting ? fitting : pair;
	}
	free(items);
	free(slots.bounds);
	free(slots.next);
	free(slots.rules);
	return pair;
}

__u32 sg_pair_find(const struct sg_pair *pair, __u32 table, __u16 port)
{
	__u32 from = pair->first[table], count = pair->first[table + 1] - from;

	if (!count)
		return 0;
	while (count > 1) {
		__u32 half = count / 2;

		if (pair->steps[from + half].port <= port) {
			from += half;
			count -= half;
		} else {
			count = half;
		}
	}
	return pair->steps[from].rule;
}
