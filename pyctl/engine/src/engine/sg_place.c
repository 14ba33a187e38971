/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* See the header. /proc/thread-self/schedstat: nanoseconds on a CPU, nanoseconds runnable without one, turns
 * on a CPU (Documentation/scheduler/sched-stats.rst). */
#define _GNU_SOURCE
#include "engine/sg_place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS 1000000ull
#define WINDOW_NS (10 * MS)

static int read_sums(int fd, struct sg_place_load *sums)
{
	char text[96];
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
	char *at = text;

	if (length <= 0)
		return -1;
	text[length] = 0;
	strtoull(at, &at, 10);
	sums->waited_ns = strtoull(at, &at, 10);
	sums->turns = (__u32)strtoull(at, &at, 10);
	return 0;
}

/* sched_getaffinity() hides CPUs that are offline, or not the cpuset's, today. Who may be everywhere is to be
 * so tomorrow: the kernel cuts a mask of all CPUs down to those by itself. */
static int find_allowed(cpu_set_t *allowed)
{
	cpu_set_t all, now;

	memset(&all, 0xff, sizeof(all));
	if (sched_getaffinity(0, sizeof(*allowed), allowed) || sched_setaffinity(0, sizeof(all), &all) ||
	    sched_getaffinity(0, sizeof(now), &now))
		return -1;
	if (!CPU_EQUAL(&now, allowed))
		return sched_setaffinity(0, sizeof(*allowed), allowed);
	*allowed = all;
	return 0;
}

void sg_place_open(struct sg_place *place)
{
	*place = (struct sg_place){ .rule = { .cpu = SG_PLACE_FREE }, .held = SG_PLACE_FREE };
	pthread_mutex_init(&place->lock, NULL);
	place->stat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	/* Without the accounting of delays these are zeros. */
	if (place->stat_fd >= 0 && !read_sums(place->stat_fd, &place->before) &&
	    place->before.turns && !find_allowed(&place->allowed))
		__atomic_store_n(&place->thread, gettid(), __ATOMIC_RELEASE);
}

void sg_place_close(struct sg_place *place)
{
	__atomic_store_n(&place->thread, 0, __ATOMIC_RELEASE);
	if (place->stat_fd >= 0)
		close(place->stat_fd);
}

static void remember(struct sg_place *place, const cpu_set_t *allowed, int held)
{
	pthread_mutex_lock(&place->lock);
	place->allowed = *allowed;
	place->held = held;
	pthread_mutex_unlock(&place->lock);
}

static cpu_set_t only(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return one;
}

static int is_only_on(pid_t thread, int cpu)
{
	cpu_set_t now, one = only(cpu);

	return !sched_getaffinity(thread, sizeof(now), &now) && CPU_EQUAL(&now, &one);
}

static int come(struct sg_place *place, int to)
{
	cpu_set_t allowed, one;

	if (to >= CPU_SETSIZE || find_allowed(&allowed) || !CPU_ISSET(to, &allowed))
		return -1;
	one = only(to);
	remember(place, &allowed, to);
	/* A CPU that the cpuset does not have is refused. */
	if (!sched_setaffinity(0, sizeof(one), &one))
		return 0;
	remember(place, &allowed, SG_PLACE_FREE);
	return -1;
}

/* Whoever set the affinity meanwhile (taskset, a cpuset) is obeyed; to have set it to the one CPU where the loop
 * is held looks like nothing. */
static int leave(struct sg_place *place, int from)
{
	cpu_set_t allowed = place->allowed;

	if (is_only_on(0, from) ? sched_setaffinity(0, sizeof(allowed), &allowed) : find_allowed(&allowed))
		return -1;
	remember(place, &allowed, SG_PLACE_FREE);
	return 0;
}

void sg_place_rescue(struct sg_place *place)
{
	pid_t thread = __atomic_load_n(&place->thread, __ATOMIC_ACQUIRE);

	if (!thread)
		return;
	pthread_mutex_lock(&place->lock);
	if (place->held != SG_PLACE_FREE && is_only_on(thread, place->held) &&
	    !sched_setaffinity(thread, sizeof(place->allowed), &place->allowed)) {
		place->held = SG_PLACE_FREE;
		place->rescued = 1;
	}
	pthread_mutex_unlock(&place->lock);
}

static int was_rescued(struct sg_place *place)
{
	int rescued;

	pthread_mutex_lock(&place->lock);
	rescued = place->rescued;
	place->rescued = 0;
	pthread_mutex_unlock(&place->lock);
	return rescued;
}

int sg_place_look(struct sg_place *place, struct seg_control *control, __u64 frames, __u64 now)
{
	struct sg_place_load sums = { .frames = frames }, load = { .wall_ns = now - place->window_ns };
	int from = place->rule.cpu, to;

	if (!place->thread || (!control && from == SG_PLACE_FREE) || load.wall_ns < WINDOW_NS)
		return 0;
	place->window_ns = now;
	if (control)
		load.from = __atomic_exchange_n(&control->steered_from, SEG_FROM_NONE, __ATOMIC_RELAXED);
	if (read_sums(place->stat_fd, &sums))
		return 0;
	load.frames = sums.frames - place->before.frames;
	load.waited_ns = sums.waited_ns - place->before.waited_ns;
	load.turns = sums.turns - place->before.turns;
	place->before = sums;
	if (was_rescued(place)) {
		sg_place_instead(&place->rule, SG_PLACE_FREE, now);
		return 1;
	}
	to = sg_place_decide(&place->rule, &load, now);
	if (to == from)
		return 0;
	if (to == SG_PLACE_FREE ? leave(place, from) : come(place, to)) {
		sg_place_instead(&place->rule, from, now);
		return 0;
	}
	/* What it waited for the new CPU is not that one's load. */
	read_sums(place->stat_fd, &place->before);
	return 1;
}
