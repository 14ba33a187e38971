/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Spans of addresses; see the header. In: CIDRs by group. Out: a class by address, or by network. No I/O.
 * CIDRs never overlap partly. In the order of their first address, those around the current one are a stack, and each
 * push or pop begins a span. */
#include "class/sg_nets.h"

#include <errno.h>
#include <stdlib.h>

typedef unsigned __int128 address_t;

struct range {
	address_t first;
	address_t last;
	__u32 group;
};

struct open {
	address_t last;
	__u32 class;
};

static address_t as_number(const __u8 *bytes)
{
	address_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 32 | sg_get32(bytes + 4 * i);
	return value;
}

/* Of two with the same first address the wider comes first. */
static int compare(const void *a, const void *b)
{
	const struct range *one = a, *other = b;

	if (one->first != other->first)
		return one->first < other->first ? -1 : 1;
	return (one->last < other->last) - (one->last > other->last);
}

static __u8 prefix_length(const struct range *range)
{
	address_t varied = range->first ^ range->last;
	__u64 high = (__u64)(varied >> 64), low = (__u64)varied;

	if (high)
		return (__u8)__builtin_clzll(high);
	return (__u8)(low ? 64 + __builtin_clzll(low) : 128);
}

static void begin_span(struct sg_nets *nets, int which, address_t at, __u32 class)
{
	struct sg_span *spans = nets->spans[which];
	__u32 *count = &nets->counts[which];
	struct sg_span span = { { (__u64)(at >> 64), (__u64)at }, class, 0 };

	if (*count && !memcmp(spans[*count - 1].start, span.start, sizeof(span.start)))
		--*count;
	if (!*count || spans[*count - 1].class != class)
		spans[(*count)++] = span;
}

static void add_prefix(struct sg_nets *nets, int which, const struct range *range, __u32 class)
{
	struct sg_network prefix = {
		.net = { (__u64)(range->first >> 64), (__u64)range->first }, .class = class,
		.length = prefix_length(range),
	};
	struct sg_network *all = nets->prefixes[which];
	__u32 *count = &nets->prefix_counts[which];

	/* Another group has the same network. */
	if (*count && all[*count - 1].length == prefix.length &&
	    !memcmp(all[*count - 1].net, prefix.net, sizeof(prefix.net)))
		--*count;
	all[(*count)++] = prefix;
}

static int build_family(struct sg_nets *nets, int which, struct sg_classes *classes,
			const struct range *ranges, __u32 count)
{
	struct open *stack = malloc(sizeof(*stack) * (count + 1ULL));
	const struct range everything = { 0, ~(address_t)0, 0 };
	__u32 depth = 1, i = 0;
	int error = -ENOMEM;

	nets->spans[which] = malloc(sizeof(struct sg_span) * (2ULL * count + 1));
	nets->prefixes[which] = malloc(sizeof(struct sg_network) * (count + 1ULL));
	if (!stack || !nets->spans[which] || !nets->prefixes[which])
		goto out;
	stack[0] = (struct open){ everything.last, SG_CLASS_ANY };
	begin_span(nets, which, 0, SG_CLASS_ANY);
	add_prefix(nets, which, &everything, SG_CLASS_ANY);
	while (i < count || depth > 1) {
		if (depth > 1 && (i == count || stack[depth - 1].last < ranges[i].first)) {
			address_t last = stack[--depth].last;

			if (last != ~(address_t)0)
				begin_span(nets, which, last + 1, stack[depth - 1].class);
			continue;
		}
		__u32 own = sg_class_of(classes, &ranges[i].group, 1);
		__u32 class = own ? sg_class_union(classes, stack[depth - 1].class, own) : own;

		if (!class)
			goto out;
		stack[depth++] = (struct open){ ranges[i].last, class };
		add_prefix(nets, which, &ranges[i], class);
		begin_span(nets, which, ranges[i++].first, class);
	}
	error = 0;
out:
	free(stack);
	return error;
}

int sg_nets_build(struct sg_nets *nets, struct sg_classes *classes, const struct sg_node_cidr *cidrs,
		  __u32 count)
{
	struct range *ranges = calloc(count + 1ULL, sizeof(*ranges));
	int error = ranges ? 0 : -ENOMEM;

	for (int which = 0; which < 2 && !error; which++) {
		__u32 found = 0;

		for (__u32 i = 0; i < count; i++) {
			const struct sg_node_cidr *c = &cidrs[i];
			int v6 = c->family == SEG_FAMILY_IPV6;
			address_t rest = c->prefix_len < 128 ? ~(address_t)0 >> c->prefix_len : 0;

			if ((!v6 && c->family != SEG_FAMILY_IPV4) || c->prefix_len > (v6 ? 128 : 32)) {
				error = -EINVAL;
				break;
			}
			if (v6 == which)
				ranges[found++] = (struct range){ as_number(c->net) & ~rest,
								  as_number(c->net) | rest, c->group };
		}
		qsort(ranges, found, sizeof(*ranges), compare);
		if (!error)
			error = build_family(nets, which, classes, ranges, found);
	}
	free(ranges);
	return error;
}

void sg_nets_free(struct sg_nets *nets)
{
	free(nets->spans[0]);
	free(nets->spans[1]);
	free(nets->prefixes[0]);
	free(nets->prefixes[1]);
}

static int is_behind(const __u64 start[2], const __u64 address[2])
{
	return start[0] > address[0] || (start[0] == address[0] && start[1] > address[1]);
}

static void halves(const __u8 *address, __u64 out[2])
{
	out[0] = (__u64)sg_get32(address) << 32 | sg_get32(address + 4);
	out[1] = (__u64)sg_get32(address + 8) << 32 | sg_get32(address + 12);
}

/* Return the index of the last of `all` that begins at or before the address; each of so many bytes begins with its first
 * address, and the first one with the lowest there is. */
static __u32 last_before(const void *all, size_t bytes, __u32 count, const __u64 address[2])
{
	__u32 from = 0;

	while (count > 1) {
		__u32 half = count / 2;
		__u64 start[2];

		memcpy(start, (const char *)all + (from + half) * bytes, sizeof(start));
		if (is_behind(start, address)) {
			count = half;
		} else {
			from += half;
			count -= half;
		}
	}
	return from;
}

__u32 sg_nets_find(const struct sg_nets *nets, __u8 family, const __u8 *address)
{
	int which = family == SEG_FAMILY_IPV6;
	const struct sg_span *spans = nets->spans[which];
	__u64 wanted[2];

	halves(address, wanted);
	return spans[last_before(spans, sizeof(*spans), nets->counts[which], wanted)].class;
}

int sg_nets_has(const struct sg_nets *nets, __u8 family, const __u8 *address)
{
	int which = family == SEG_FAMILY_IPV6;
	const struct sg_network *found = nets->prefixes[which];
	__u64 wanted[2];

	halves(address, wanted);
	/* Of those that begin there the last is the smallest. */
	found += last_before(found, sizeof(*found), nets->prefix_counts[which], wanted);
	return found->length == (which ? 128 : 32) && !memcmp(found->net, wanted, sizeof(wanted));
}
