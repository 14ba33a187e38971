/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What Python calls: checks the arguments, hands the work to the loop, waits for its end. */
#define _GNU_SOURCE
#include "api/sg_engine.h"

#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/sg_loop.h"

enum { PATIENCE_NS = 100000000, SECOND_NS = 1000000000 };
enum { DROPPED_AT_ONCE = 256 };	/* each costs up to two system calls; frames wait meanwhile */

static int call(struct sg_engine *engine, int (*run)(struct sg_engine *, void *), void *context)
{
	struct sg_command command = { .run = run, .context = context };
	struct timespec until;

	pthread_mutex_lock(&engine->callers);
	__atomic_store_n(&engine->command, &command, __ATOMIC_RELEASE);
	eventfd_write(engine->wake_fd, 1);
	pthread_mutex_lock(&engine->lock);
	while (!command.done) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += PATIENCE_NS;
		until.tv_sec += until.tv_nsec / SECOND_NS;
		until.tv_nsec %= SECOND_NS;
		if (pthread_cond_timedwait(&engine->done, &engine->lock, &until) == ETIMEDOUT &&
		    !command.done)
			sg_cpu_affinity_rescue(&engine->cpu_affinity);
	}
	pthread_mutex_unlock(&engine->lock);
	pthread_mutex_unlock(&engine->callers);
	return command.result;
}

int sg_engine_call(struct sg_engine *engine, int (*run)(struct sg_engine *, void *), void *context)
{
	return call(engine, run, context);
}

static void drop_rings(struct sg_engine *engine)
{
	if (!engine->state)
		return;
	for (int i = 0; i < SG_RINGS; i++)
		sg_ring_unmap(&engine->rings[i]);
	munmap(engine->state, sizeof(*engine->state));
	engine->state = NULL;
	for (int i = 0; i < SG_FDS; i++)
		close(engine->fds[i]);
}

struct sg_engine *sg_engine_new(const struct sg_core_config *config)
{
	struct sg_engine *engine = calloc(1, sizeof(*engine));
	pthread_condattr_t monotonic;
	struct timespec now;
	struct sg_io io;
	sigset_t all, before;
	__u64 epoch;
	int error;

	if (!engine)
		return NULL;
	io = sg_loop_io(engine);
	sg_flowmap_init(&engine->maps);
	engine->maps.cache = !!config->flow_cache;
	engine->maps.worker = config->worker;
	engine->maps.workers = config->workers;
	engine->cache_limit = ~0U;
	engine->send.stats = &engine->stats;
	engine->send.failed = engine->failed;
	engine->send.unsent = engine->unsent;
	pthread_mutex_init(&engine->policies, NULL);
	pthread_mutex_init(&engine->callers, NULL);
	pthread_mutex_init(&engine->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&engine->done, &monotonic);
	pthread_condattr_destroy(&monotonic);
	engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* A later engine's is larger. */
	clock_gettime(CLOCK_REALTIME, &now);
	epoch = config->epoch ? config->epoch :
				(__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
	/* The core may always use the maps: this layer switches them off and on. */
	engine->core = sg_core_new(&io, &(struct sg_core_config){
						.max_sessions = config->max_sessions,
						.worker = config->worker,
						.workers = config->workers,
						.flow_cache = 1,
						.epoch = epoch,
					});
	error = engine->wake_fd < 0 ? errno : engine->core ? 0 : ENOMEM;
	if (!error) {
		/* Signals are for Python's main thread. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		error = pthread_create(&engine->thread, NULL, sg_loop_run, engine);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (!error)
		return engine;
	sg_core_free(engine->core);
	if (engine->wake_fd >= 0)
		close(engine->wake_fd);
	free(engine);
	errno = error;
	return NULL;
}

void sg_engine_free(struct sg_engine *engine)
{
	__atomic_store_n(&engine->stop, 1, __ATOMIC_RELEASE);
	eventfd_write(engine->wake_fd, 1);
	pthread_join(engine->thread, NULL);
	sg_core_free(engine->core);
	if (engine->flows)
		munmap(engine->flows, SG_STATE_BYTES - SG_STATE_FLOWS);
	drop_rings(engine);
	sg_flowmap_close(&engine->maps);
	sg_kernel_ring_close(&engine->opens);
	sg_kernel_ring_close(&engine->closes);
	close(engine->wake_fd);
	free(engine);
}

static int check_ring_fds(const int *fds)
{
	struct stat about;

	for (int i = SG_FD_SMALL; i <= SG_FD_SEND; i++) {
		int domain = 0;
		socklen_t len = sizeof(domain);

		if (getsockopt(fds[i], SOL_SOCKET, SO_DOMAIN, &domain, &len))
			return -errno;
		if (domain != AF_PACKET)
			return -EINVAL;
	}
	/* One that can be shortened would end the engine with SIGBUS. */
	if (!(fcntl(fds[SG_FD_STATE], F_GET_SEALS) & F_SEAL_SHRINK))
		return -EINVAL;
	if (fstat(fds[SG_FD_STATE], &about))
		return -errno;
	return about.st_size >= (off_t)sizeof(struct sg_ring_state) ? 0 : -EINVAL;
}

static int rings_set(struct sg_engine *engine, void *context)
{
	const int *fds = context;
	struct sg_ring rings[SG_RINGS] = { 0 };
	struct sg_ring_state *state;
	int error = 0;

	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, fds[SG_FD_STATE], 0);
	if (state == MAP_FAILED)
		return -errno;
	for (unsigned int i = 0; i < SG_RINGS && !error; i++)
		error = sg_ring_map(&rings[i], i, fds[SG_FD_SMALL + i], state);
	if (error) {
		for (int i = 0; i < SG_RINGS; i++)
			sg_ring_unmap(&rings[i]);
		munmap(state, sizeof(*state));
		return error;
	}
	drop_rings(engine);
	memcpy(engine->rings, rings, sizeof(rings));
	memcpy(engine->fds, fds, sizeof(engine->fds));
	engine->state = state;
	engine->send.fd = fds[SG_FD_SEND];
	return 0;
}

int sg_engine_rings_set(struct sg_engine *engine, const int *fds)
{
	int error = check_ring_fds(fds);

	if (!error)
		error = call(engine, rings_set, (void *)fds);
	for (int i = 0; error && i < SG_FDS; i++)
		close(fds[i]);
	return error;
}

struct adoption {
	int state;
	int keep;
};

static int adopt(struct sg_engine *engine, void *context)
{
	const struct adoption *job = context;
	const size_t bytes = SG_STATE_BYTES - SG_STATE_FLOWS;
	void *memory;
	int adopted;

	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, job->state, SG_STATE_FLOWS);
	if (memory == MAP_FAILED)
		return -errno;
	adopted = sg_core_adopt(engine->core, memory, bytes, job->keep, sg_loop_now());
	if (adopted < 0)
		munmap(memory, bytes);
	else
		engine->flows = memory;
	return adopted;
}

int sg_engine_adopt(struct sg_engine *engine, int state, int keep)
{
	struct adoption job = { .state = state, .keep = keep };
	struct stat about;

	if (fstat(state, &about))
		return -errno;
	if (about.st_size != SG_STATE_BYTES || !(fcntl(state, F_GET_SEALS) & F_SEAL_SHRINK))
		return -EINVAL;
	return call(engine, adopt, &job);
}

static int rings_drop(struct sg_engine *engine, void *context)
{
	(void)context;
	drop_rings(engine);
	/* Frames that a timer still sends fail, and are counted. */
	engine->send.fd = -1;
	return 0;
}

int sg_engine_rings_drop(struct sg_engine *engine)
{
	return call(engine, rings_drop, NULL);
}

static int maps_open(struct sg_engine *engine, void *context)
{
	char opens[32], closes[32];
	int error;

	snprintf(opens, sizeof(opens), "seg_opens-%u", engine->maps.worker);
	snprintf(closes, sizeof(closes), "seg_closes-%u", engine->maps.worker);
	error = sg_kernel_ring_open(&engine->closes, context, closes, sizeof(struct seg_close_event));
	if (!error)
		error = sg_kernel_ring_open(&engine->opens, context, opens, sizeof(struct seg_open_event));
	if (error)
		return error;
	/* The entries of adopted sessions said it. */
	sg_kernel_ring_skip(&engine->closes);
	error = sg_flowmap_open(&engine->maps, context);
	/* There is a policy already only if the datapath is loaded after it. */
	if (!error)
		sg_core_classes_rewrite(engine->core, sg_flowmap_new_version(&engine->maps));
	return error;
}

int sg_engine_maps_open(struct sg_engine *engine, const char *directory)
{
	int error;

	pthread_mutex_lock(&engine->policies);
	error = call(engine, maps_open, (void *)directory);
	pthread_mutex_unlock(&engine->policies);
	return error;
}

struct cache_switch {
	int enabled;
	struct sg_flowmap maps;		/* descriptors of its own */
};

static int cache_set(struct sg_engine *engine, void *context)
{
	struct cache_switch *job = context;

	sg_flowmap_init(&job->maps);
	job->maps.worker = engine->maps.worker;
	job->maps.workers = engine->maps.workers;
	if (!job->enabled && engine->maps.fd4 >= 0) {
		job->maps.fd4 = fcntl(engine->maps.fd4, F_DUPFD_CLOEXEC, 0);
		job->maps.fd6 = fcntl(engine->maps.fd6, F_DUPFD_CLOEXEC, 0);
		if (job->maps.fd4 < 0 || job->maps.fd6 < 0)
			return -errno;
	}
	engine->maps.cache = job->enabled;
	if (!job->enabled)
		sg_flowmap_opens_nothing(&engine->maps, 1);
	return 0;
}

static int cache_drop(struct sg_engine *engine, void *context)
{
	/* Entries of connections that nobody has taken yet must be counted before the maps are cleared. */
	sg_loop_take_opens(engine, sg_loop_now(), UINT_MAX);
	sg_core_cache_drop(engine->core, DROPPED_AT_ONCE, context);
	return 0;
}

int sg_engine_cache_set(struct sg_engine *engine, int enabled)
{
	struct cache_switch job = { .enabled = enabled };
	int error = call(engine, cache_set, &job);
	__u32 cursor = 0;

	/* First the sessions' entries with their counts, a few between two batches; then the others, in this thread,
	 * because very many entries would delay packets. */
	if (!enabled && !error) {
		do
			call(engine, cache_drop, &cursor);
		while (cursor);
		sg_flowmap_clear(&job.maps);
	}
	sg_flowmap_close(&job.maps);
	return error;
}

static int cache_limit(struct sg_engine *engine, void *context)
{
	engine->cache_limit = *(const __u32 *)context;
	sg_core_cache_limit(engine->core, engine->cache_limit);
	return 0;
}

int sg_engine_cache_limit(struct sg_engine *engine, __u32 entries)
{
	return call(engine, cache_limit, &entries);
}

/* A command's arguments and results; each command uses some. */
struct job {
	__u16 port_id;
	__u32 count;		/* of ports or bytes; or the most that `out` has room for */
	const void *bytes;
	struct sg_node *node;
	struct sg_node *former;
	__u32 class_version;
	const struct sg_policy *policy;
	const struct sg_rule *rules;
	const __u16 *ports;
	const struct sg_event_ask *ask;
	struct sg_event_page *page;
	__u64 after;
	struct sg_hit_page *hit_page;
	__u32 *cursor;
	void *out;
};

static int policy_set(struct sg_engine *engine, void *context)
{
	struct job *job = context;

	return sg_core_policy_set(engine->core, job->policy, job->rules);
}

int sg_engine_policy_set(struct sg_engine *engine, const struct sg_policy *policy, const struct sg_rule *rules)
{
	struct job job = { .policy = policy, .rules = rules };

	return call(engine, policy_set, &job);
}

static int node_set(struct sg_engine *engine, void *context)
{
	struct job *job = context;

	return sg_core_node_swap(engine->core, job->node, job->class_version, job->bytes, job->count, &job->former);
}

int sg_engine_node_set(struct sg_engine *engine, const void *bytes, __u32 length)
{
	struct job job = { .bytes = bytes, .count = length };
	int error = sg_core_node_build(engine->core, bytes, length, &job.node);

	if (error)
		return error;
	/* Neither a delta nor other maps may come between the classes and their policy. */
	pthread_mutex_lock(&engine->policies);
	job.class_version = sg_core_classes_write(engine->core, job.node, sg_flowmap_new_version(&engine->maps));
	error = call(engine, node_set, &job);
	sg_flowmap_sweep_classes(&engine->maps);
	pthread_mutex_unlock(&engine->policies);
	sg_node_free(job.former);
	return error;
}

static int members_set(struct sg_engine *engine, void *context)
{
	struct job *job = context;

	return sg_core_members_set(engine->core, job->bytes, job->count);
}

int sg_engine_members_set(struct sg_engine *engine, const void *bytes, __u32 length)
{
	struct job job = { .bytes = bytes, .count = length };
	int error;

	pthread_mutex_lock(&engine->policies);
	error = call(engine, members_set, &job);
	pthread_mutex_unlock(&engine->policies);
	return error;
}

static int port_delete(struct sg_engine *engine, void *context)
{
	const __u16 *port_id = context;

	sg_core_port_delete(engine->core, *port_id);
	engine->failed[*port_id] = engine->unsent[*port_id] = (struct sg_reason_count){ 0 };
	return 0;
}

int sg_engine_port_delete(struct sg_engine *engine, __u16 port_id)
{
	return call(engine, port_delete, &port_id);
}

static int listeners_set(struct sg_engine *engine, void *context)
{
	struct job *job = context;

	return sg_core_listeners_set(engine->core, job->port_id, job->ports, job->count);
}

int sg_engine_listeners_set(struct sg_engine *engine, __u16 port_id, const __u16 *ports, __u32 count)
{
	struct job job = { .ports = ports, .count = count, .port_id = port_id };

	return call(engine, listeners_set, &job);
}

static int sync_start(struct sg_engine *engine, void *context)
{
	(void)context;
	for (int i = 0; engine->state && i < SG_RINGS; i++)
		engine->sync_left += engine->rings[i].slots;
	return 0;
}

int sg_engine_sync(struct sg_engine *engine)
{
	return call(engine, sync_start, NULL);
}

static int counters(struct sg_engine *engine, void *context)
{
	struct job *job = context;
	struct sg_reason_count *out = job->out;

	sg_core_counters(engine->core, job->port_id, out);
	out[SEG_R_SEND_FAILED].packets += engine->failed[job->port_id].packets;
	out[SEG_R_SEND_FAILED].bytes += engine->failed[job->port_id].bytes;
	out[SEG_R_FROM_ENGINE].packets -= engine->unsent[job->port_id].packets;
	out[SEG_R_FROM_ENGINE].bytes -= engine->unsent[job->port_id].bytes;
	return 0;
}

int sg_engine_counters(struct sg_engine *engine, __u16 port_id, struct sg_reason_count *out)
{
	struct job job = { .port_id = port_id, .out = out };

	return call(engine, counters, &job);
}

static int events(struct sg_engine *engine, void *context)
{
	struct job *job = context;
	const struct sg_event_ask *ask = job->ask;

	return (int)sg_core_events(engine->core, ask->epoch, ask->ack, ask->after, job->out, ask->max,
				   job->page);
}

int sg_engine_events(struct sg_engine *engine, const struct sg_event_ask *ask, struct sg_event *out,
		     struct sg_event_page *page)
{
	struct job job = { .ask = ask, .out = out, .page = page };

	return call(engine, events, &job);
}

static int sessions(struct sg_engine *engine, void *context)
{
	struct job *job = context;

	return (int)sg_core_sessions(engine->core, job->port_id, job->out, job->count, job->cursor);
}

int sg_engine_sessions(struct sg_engine *engine, __u16 port_id, struct sg_session_info *out,
		       __u32 max, __u32 *cursor)
{
	struct job job = { .port_id = port_id, .cursor = cursor };
	__u32 found = 0;

	do {
		job.out = out + found;
		job.count = max - found;
		found += (__u32)call(engine, sessions, &job);
	} while (*cursor && found < max);
	return (int)found;
}

static int hits(struct sg_engine *engine, void *context)
{
	struct job *job = context;

	return (int)sg_core_hits(engine->core, job->after, job->out, job->count, job->hit_page);
}

int sg_engine_hits(struct sg_engine *engine, __u64 after, struct sg_hit *out, __u32 max, struct sg_hit_page *page)
{
	struct job job = { .after = after, .out = out, .hit_page = page, .count = max };

	return call(engine, hits, &job);
}

static int stats(struct sg_engine *engine, void *context)
{
	struct sg_engine_stats *out = context;
	struct sg_event_page page = { 0 };
	struct sg_cache_stats cache;

	*out = engine->stats;
	sg_core_cache_stats(engine->core, 0, &cache);
	out->flows_put = cache.put;
	out->flows_refused = cache.refused;
	out->flows_evicted = cache.evicted;
	out->flows_offload_misses = cache.offload_misses;
	out->flows_offload_missed_bytes = cache.offload_missed_bytes;
	out->flows_entries = cache.entries;
	out->flows_capacity = engine->maps.capacity < engine->cache_limit ? engine->maps.capacity :
									    engine->cache_limit;
	for (int i = 0; engine->state && i < SG_RINGS; i++) {
		sg_ring_read_drops(&engine->rings[i]);
		out->ring_packets[i] = engine->state->packets[i];
		out->ring_drops[i] = engine->state->drops[i];
	}
	sg_core_events_lost(engine->core, &page);
	out->events_lost_drops = page.lost_drops;
	out->events_lost_ends = page.lost_ends;
	out->share_gap_ns = engine->share.gap_ns;
	out->heartbeat_ns = engine->beat_ns;
	out->sessions = sg_core_session_count(engine->core);
	out->has_rings = !!engine->state;
	out->has_maps = engine->maps.fd4 >= 0;
	out->cache = (__u8)engine->maps.cache;
	return 0;
}

static int cache_stats(struct sg_engine *engine, void *context)
{
	struct job *job = context;

	sg_core_cache_stats(engine->core, job->port_id, job->out);
	return 0;
}

int sg_engine_cache_stats(struct sg_engine *engine, __u16 port_id, struct sg_cache_stats *out)
{
	struct job job = { .port_id = port_id, .out = out };

	return call(engine, cache_stats, &job);
}

int sg_engine_stats(struct sg_engine *engine, struct sg_engine_stats *out)
{
	return call(engine, stats, out);
}
