/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* See the header. /proc/thread-self/schedstat: nanoseconds on a CPU, nanoseconds runnable without one, turns
 * on a CPU (Documentation/scheduler/sched-stats.rst). */
#define _GNU_SOURCE
#include "engine/sg_cpu_affinity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS 1000000ull
#define WINDOW_NS (10 * MS)

static int read_sums(int fd, struct sg_cpu_affinity_load *sums)
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

/* Finds the CPUs that the thread may use. sched_getaffinity() hides CPUs that are offline or outside the cpuset now, so a
 * thread that may run anywhere gets a mask of all CPUs, which the kernel reduces itself. */
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

void sg_cpu_affinity_open(struct sg_cpu_affinity *affinity)
{
	*affinity = (struct sg_cpu_affinity){ .rule = { .cpu = SG_CPU_ANY }, .pinned = SG_CPU_ANY };
	pthread_mutex_init(&affinity->lock, NULL);
	affinity->stat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	/* These are zeros if the kernel does not account delays. */
	if (affinity->stat_fd >= 0 && !read_sums(affinity->stat_fd, &affinity->before) &&
	    affinity->before.turns && !find_allowed(&affinity->allowed))
		__atomic_store_n(&affinity->thread, gettid(), __ATOMIC_RELEASE);
}

void sg_cpu_affinity_close(struct sg_cpu_affinity *affinity)
{
	__atomic_store_n(&affinity->thread, 0, __ATOMIC_RELEASE);
	if (affinity->stat_fd >= 0)
		close(affinity->stat_fd);
}

static void remember(struct sg_cpu_affinity *affinity, const cpu_set_t *allowed, int pinned)
{
	pthread_mutex_lock(&affinity->lock);
	affinity->allowed = *allowed;
	affinity->pinned = pinned;
	pthread_mutex_unlock(&affinity->lock);
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

static int pin(struct sg_cpu_affinity *affinity, int to)
{
	cpu_set_t allowed, one;

	if (to >= CPU_SETSIZE || find_allowed(&allowed) || !CPU_ISSET(to, &allowed))
		return -1;
	one = only(to);
	remember(affinity, &allowed, to);
	/* The kernel refuses a CPU outside the cpuset. */
	if (!sched_setaffinity(0, sizeof(one), &one))
		return 0;
	remember(affinity, &allowed, SG_CPU_ANY);
	return -1;
}

/* An affinity that another set meanwhile (taskset, a cpuset) is kept; a mask of the one CPU that the loop is pinned to cannot be told apart from our own. */
static int unpin(struct sg_cpu_affinity *affinity, int from)
{
	cpu_set_t allowed = affinity->allowed;

	if (is_only_on(0, from) ? sched_setaffinity(0, sizeof(allowed), &allowed) : find_allowed(&allowed))
		return -1;
	remember(affinity, &allowed, SG_CPU_ANY);
	return 0;
}

void sg_cpu_affinity_rescue(struct sg_cpu_affinity *affinity)
{
	pid_t thread = __atomic_load_n(&affinity->thread, __ATOMIC_ACQUIRE);

	if (!thread)
		return;
	pthread_mutex_lock(&affinity->lock);
	if (affinity->pinned != SG_CPU_ANY && is_only_on(thread, affinity->pinned) &&
	    !sched_setaffinity(thread, sizeof(affinity->allowed), &affinity->allowed)) {
		affinity->pinned = SG_CPU_ANY;
		affinity->rescued = 1;
	}
	pthread_mutex_unlock(&affinity->lock);
}

static int was_rescued(struct sg_cpu_affinity *affinity)
{
	int rescued;

	pthread_mutex_lock(&affinity->lock);
	rescued = affinity->rescued;
	affinity->rescued = 0;
	pthread_mutex_unlock(&affinity->lock);
	return rescued;
}

int sg_cpu_affinity_look(struct sg_cpu_affinity *affinity, struct seg_control *control, __u64 frames, __u64 now)
{
	struct sg_cpu_affinity_load sums = { .frames = frames }, load = { .wall_ns = now - affinity->window_ns };
	int from = affinity->rule.cpu, to;

	if (!affinity->thread || (!control && from == SG_CPU_ANY) || load.wall_ns < WINDOW_NS)
		return 0;
	affinity->window_ns = now;
	if (control)
		load.from = __atomic_exchange_n(&control->producer_cpu, SEG_PRODUCER_NONE, __ATOMIC_RELAXED);
	if (read_sums(affinity->stat_fd, &sums))
		return 0;
	load.frames = sums.frames - affinity->before.frames;
	load.waited_ns = sums.waited_ns - affinity->before.waited_ns;
	load.turns = sums.turns - affinity->before.turns;
	affinity->before = sums;
	if (was_rescued(affinity)) {
		sg_cpu_affinity_override(&affinity->rule, SG_CPU_ANY, now);
		return 1;
	}
	to = sg_cpu_affinity_decide(&affinity->rule, &load, now);
	if (to == from)
		return 0;
	if (to == SG_CPU_ANY ? unpin(affinity, from) : pin(affinity, to)) {
		sg_cpu_affinity_override(&affinity->rule, from, now);
		return 0;
	}
	/* The wait for the new CPU is not that CPU's load. */
	read_sums(affinity->stat_fd, &affinity->before);
	return 1;
}
