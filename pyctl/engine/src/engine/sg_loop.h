/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Private to sg_loop.c (the thread) and sg_engine.c (what Python calls): the engine itself. */
#ifndef SG_LOOP_H
#define SG_LOOP_H

#include <pthread.h>

#include "io/sg_kernel_ring.h"
#include "io/sg_flowmap.h"
#include "engine/sg_cpu_affinity.h"
#include "io/sg_ring.h"
#include "io/sg_send.h"
#include "base/sg_share.h"

/* Run by the loop between two batches; returns 0, a count, or -errno. */
struct sg_command {
	int (*run)(struct sg_engine *engine, void *context);
	void *context;
	int result;
	int done;
};

struct sg_engine {
	struct sg_core *core;
	struct sg_flowmap maps;
	struct sg_kernel_ring opens;
	struct sg_kernel_ring closes;
	struct sg_cpu_affinity cpu_affinity;
	struct sg_ring rings[SG_RINGS];
	struct sg_ring_state *state;	/* NULL: no rings yet */
	int fds[SG_FDS];
	void *flows;			/* NULL, or the memory that the sessions are in */
	__u32 cache_limit;
	const __u8 *slot;		/* bytes of the frame that is being judged */
	__u32 slot_len;
	struct sg_engine_stats stats;
	__u64 beat_ns;
	__u64 tick_ns;			/* when the core wants its next tick */
	struct sg_share share;
	__u64 share_ns;			/* when its window began */
	__u64 share_frames;		/* stats.frames by then */
	__u64 idle_ns;			/* slept since then */
	int share_hit;			/* the core's: enum seg_share_hit, bits */

	pthread_t thread;
	int wake_fd;
	int stop;
	__u32 sync_left;		/* frames that a sync still waits for */
	struct sg_command *command;	/* set by a caller, taken by the loop */
	struct sg_command *syncing;
	pthread_mutex_t policies;	/* held by a caller that reads or writes seg_classes for more than one command */
	pthread_mutex_t callers;	/* one command at a time */
	pthread_mutex_t lock;
	pthread_cond_t done;

	struct sg_send send;
	struct sg_reason_count failed[SEG_PORT_IDS];
	struct sg_reason_count unsent[SEG_PORT_IDS];
};

/* What the core may do to the world. */
struct sg_io sg_loop_io(struct sg_engine *engine);
/* Return the time that the core is given: CLOCK_MONOTONIC. */
__u64 sg_loop_now(void);
/* Take up to `limit` events of connections that programs opened. Those that an engine did not release, the next one takes. */
unsigned int sg_loop_take_opens(struct sg_engine *engine, __u64 now, unsigned int limit);
/* The thread's function; context is the engine. Returns when engine->stop is set. */
void *sg_loop_run(void *context);

/* Let the packet thread run this between two batches; returns its result. */
int sg_engine_call(struct sg_engine *engine, int (*run)(struct sg_engine *, void *), void *context);

#endif
