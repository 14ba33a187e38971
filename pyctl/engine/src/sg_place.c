/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* See the header. /proc/thread-self/schedstat: nanoseconds on a CPU, runnable without one, turns
 * (Documentation/scheduler/sched-stats.rst). */
#include "sg_place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MS 1000000ull
#define WINDOW_NS (10 * MS)

/* 0, or negative: this kernel does not tell. */
static int read_sums(int fd, struct sg_place_load *sums)
{
	char text[96];
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
	char *at = text;

	if (length <= 0)
		return -1;
	text[length] = 0;
	sums->ran_ns = strtoull(at, &at, 10);
	sums->waited_ns = strtoull(at, &at, 10);
	sums->turns = (__u32)strtoull(at, &at, 10);
	/* Without the accounting of delays these are zeros. */
	return sums->turns ? 0 : -1;
}

void sg_place_open(struct sg_place *place)
{
	*place = (struct sg_place){ .rule = { .cpu = SG_PLACE_FREE } };
	place->stat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	if (place->stat_fd >= 0 && !read_sums(place->stat_fd, &place->before) &&
	    !sched_getaffinity(0, sizeof(place->allowed), &place->allowed))
		return;
	sg_place_close(place);
}

void sg_place_close(struct sg_place *place)
{
	if (place->stat_fd >= 0)
		close(place->stat_fd);
	place->stat_fd = -1;
}

/* 0, or -1: it is where it was. Whoever set the affinity meanwhile (taskset, a cpuset) is obeyed. */
static int move(struct sg_place *place, int from, int to)
{
	cpu_set_t now, one;

	CPU_ZERO(&one);
	if (from != SG_PLACE_FREE)
		CPU_SET(from, &one);
	if (sched_getaffinity(0, sizeof(now), &now))
		return -1;
	if (from == SG_PLACE_FREE || !CPU_EQUAL(&now, &one))
		place->allowed = now;
	if (to == SG_PLACE_FREE)
		return sched_setaffinity(0, sizeof(place->allowed), &place->allowed);
	if (to >= CPU_SETSIZE || !CPU_ISSET(to, &place->allowed))
		return -1;
	CPU_ZERO(&one);
	CPU_SET(to, &one);
	return sched_setaffinity(0, sizeof(one), &one);
}

int sg_place_look(struct sg_place *place, struct seg_control *control, __u64 now)
{
	struct sg_place_load sums, load = { .wall_ns = now - place->window_ns };
	int from = place->rule.cpu, to;

	if (place->stat_fd < 0 || load.wall_ns < WINDOW_NS)
		return 0;
	place->window_ns = now;
	if (control)
		load.from = __atomic_exchange_n(&control->steered_from, SEG_FROM_NONE, __ATOMIC_RELAXED);
	if (read_sums(place->stat_fd, &sums))
		return 0;
	load.ran_ns = sums.ran_ns - place->before.ran_ns;
	load.waited_ns = sums.waited_ns - place->before.waited_ns;
	load.turns = sums.turns - place->before.turns;
	place->before = sums;
	to = sg_place_decide(&place->rule, &load, now);
	if (to == from)
		return 0;
	if (!move(place, from, to))
		return 1;
	place->rule.cpu = from;
	return 0;
}
