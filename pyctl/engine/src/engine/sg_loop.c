/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The packet loop: rings -> core -> batch, and what Python asks for, between two batches.
 *
 * A round: judge up to SG_BATCH frames, send what passed, give the slots back, read which connections
 * the kernel saw close, run a command, heartbeat and timers, look where to run (sg_cpu_affinity.h). A round without
 * a frame ends in poll(). The socket that fills while the loop works wakes nobody, so that under load there
 * is no wake-up per packet.
 *
 * Tried on two cores, and left out: spinning for 5 or 30 us before poll() made no difference to a
 * stream beyond the noise, and takes a core from the workloads; nice -10 made a stream slower (0.53
 * of a direct path instead of 0.61), because who wakes up earlier finds fewer frames for a batch; slices of
 * 0.1 ms (sched_setattr, EEVDF) halved the wait for a CPU, and took as much more of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "engine/sg_loop.h"

#define MS 1000000ull
#define WAIT_MAX_NS (20 * MS)	/* heartbeat every 50 ms at least, also on a stolen CPU */
#define BEAT_NS MS
#define STUCK_NS (100 * MS)
#define OPEN_EVENTS_PER_ROUND (16 * SG_BATCH)
#define CLOSE_EVENTS_PER_ROUND (4 * SG_BATCH)	/* each may cost two system calls; a connection has two, and a SYN */

__u64 sg_loop_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

/* The core's world (struct sg_io). */

static int io_send(void *context, const struct sg_frame *frame)
{
	struct sg_engine *engine = context;
	int hold = engine->slot && frame->data >= engine->slot &&
		   frame->data + frame->len <= engine->slot + engine->slot_len;

	return sg_send_queue(&engine->send, frame, hold);
}

static int io_flow_put(void *context, int family, const void *key, const struct seg_flow *flow, __u64 generation)
{
	return sg_flowmap_put(&((struct sg_engine *)context)->maps, family, key, flow, generation);
}

static int io_flow_get(void *context, int family, const void *key, struct seg_flow *flow)
{
	return sg_flowmap_get(&((struct sg_engine *)context)->maps, family, key, flow);
}

static int io_service_put(void *context, const struct seg_service_key *key, const struct seg_service *service)
{
	return sg_flowmap_put_service(&((struct sg_engine *)context)->maps, key, service);
}

static void io_credit(void *context, __u16 port_id, __s64 connections)
{
	sg_flowmap_credit(&((struct sg_engine *)context)->maps, port_id, connections);
}

static int io_query_put(void *context, const struct seg_query_key *key, const struct seg_query *query)
{
	return sg_flowmap_put_query(&((struct sg_engine *)context)->maps, key, query);
}

static int io_query_get(void *context, const struct seg_query_key *key, struct seg_query *query)
{
	return sg_flowmap_get_query(&((struct sg_engine *)context)->maps, key, query);
}

static int io_name_put(void *context, const struct seg_name_key *key, const struct seg_name *name)
{
	return sg_flowmap_put_name(&((struct sg_engine *)context)->maps, key, name);
}

static int io_name_get(void *context, const struct seg_name_key *key, struct seg_name *name)
{
	return sg_flowmap_get_name(&((struct sg_engine *)context)->maps, key, name);
}

static int io_name_delete(void *context, const struct seg_name_key *key)
{
	return sg_flowmap_delete_name(&((struct sg_engine *)context)->maps, key);
}

static int io_flow_delete(void *context, int family, const void *key, struct seg_flow *last)
{
	return sg_flowmap_delete(&((struct sg_engine *)context)->maps, family, key, last);
}

static int io_class_put(void *context, const struct seg_class_key *key, __u32 class)
{
	return sg_flowmap_put_class(&((struct sg_engine *)context)->maps, key, class);
}

static int io_class_delete(void *context, const struct seg_class_key *key)
{
	return sg_flowmap_delete_class(&((struct sg_engine *)context)->maps, key);
}

static void io_class_use(void *context, __u32 version)
{
	sg_flowmap_use_version(&((struct sg_engine *)context)->maps, version);
}

struct sg_io sg_loop_io(struct sg_engine *engine)
{
	return (struct sg_io){
		.ctx = engine,
		.send = io_send,
		.flow_put = io_flow_put,
		.flow_get = io_flow_get,
		.flow_delete = io_flow_delete,
		.service_put = io_service_put,
		.class_put = io_class_put,
		.class_delete = io_class_delete,
		.class_use = io_class_use,
		.credit = io_credit,
		.query_put = io_query_put,
		.query_get = io_query_get,
		.name_put = io_name_put,
		.name_get = io_name_get,
		.name_delete = io_name_delete,
	};
}

/* The round. */

static int is_older(const struct tpacket2_hdr *left, const struct tpacket2_hdr *right)
{
	if (left->tp_sec != right->tp_sec)
		return left->tp_sec < right->tp_sec;
	return left->tp_nsec < right->tp_nsec;
}

/* The ring whose head is the oldest. All are asked again after each find: a frame that came before
 * the one found must be visible by then, and within a flow the order has to hold. */
static struct sg_ring *next_ring(struct sg_engine *engine, const struct tpacket2_hdr **slot)
{
	struct sg_ring *found = NULL, *before;

	*slot = NULL;
	do {
		before = found;
		for (int i = 0; i < SG_RINGS; i++) {
			const struct tpacket2_hdr *head = sg_ring_peek(&engine->rings[i]);

			if (head && (!*slot || is_older(head, *slot))) {
				*slot = head;
				found = &engine->rings[i];
			}
		}
	} while (found != before);
	return found;
}

unsigned int sg_loop_take_opens(struct sg_engine *engine, __u64 now, unsigned int limit)
{
	struct seg_open_event event;
	unsigned int count = 0;

	for (; count < limit && sg_kernel_ring_take_any(&engine->opens, &event); count++)
		sg_core_open_event(engine->core, &event, now);
	sg_kernel_ring_release(&engine->opens);
	return count;
}

/* Judge a batch, and return its frames. *emptied: no frame waits any more. */
static unsigned int drain(struct sg_engine *engine, __u64 now, int *emptied)
{
	const struct tpacket2_hdr *slot;
	struct sg_ring *ring;
	unsigned int count = 0;
	struct sg_frame frame;

	*emptied = 1;
	if (!engine->state)
		return 0;
	while (count < SG_BATCH && (ring = next_ring(engine, &slot))) {
		/* The frame's connection may have been opened by a program: its event came before the frame. */
		sg_loop_take_opens(engine, now, UINT_MAX);
		/* That event may be behind one that another CPU still writes. */
		if (sg_kernel_ring_is_busy(&engine->opens, now)) {
			*emptied = 0;
			break;
		}
		sg_ring_frame(slot, &frame);
		engine->slot = frame.data;
		engine->slot_len = frame.len;
		engine->stats.bytes += frame.wire_len;
		engine->stats.truncated += frame.wire_len > frame.len;
		sg_core_frame(engine->core, &frame, now);
		sg_ring_advance(ring);
		count++;
	}
	*emptied &= count < SG_BATCH;
	engine->slot = NULL;
	sg_send_flush(&engine->send);
	if (count) {
		engine->stats.frames += count;
		engine->stats.batches++;
		for (int i = 0; i < SG_RINGS; i++)
			sg_ring_release(&engine->rings[i]);
	}
	return count;
}

static __u32 slots(const struct sg_engine *engine)
{
	__u32 all = 0;

	for (int i = 0; engine->state && i < SG_RINGS; i++)
		all += engine->rings[i].slots;
	return all;
}

static unsigned int take_close_events(struct sg_engine *engine, __u64 now, int drained)
{
	unsigned int count = 0;
	struct seg_close_event event;

	if (!sg_kernel_ring_is_due(&engine->closes, engine->stats.frames, drained))
		return 0;
	for (; count < CLOSE_EVENTS_PER_ROUND && sg_kernel_ring_take(&engine->closes, &event); count++)
		sg_core_close_event(engine->core, &event, now);
	sg_kernel_ring_release(&engine->closes);
	return count;
}

static void finish(struct sg_engine *engine, struct sg_command *command, int result)
{
	pthread_mutex_lock(&engine->lock);
	command->result = result;
	command->done = 1;
	pthread_cond_broadcast(&engine->done);
	pthread_mutex_unlock(&engine->lock);
}

static void run_command(struct sg_engine *engine)
{
	struct sg_command *command = __atomic_exchange_n(&engine->command, NULL, __ATOMIC_ACQ_REL);
	eventfd_t ignored;
	int result;

	if (!command)
		return;
	eventfd_read(engine->wake_fd, &ignored);
	result = command->run(engine, command->context);
	if (engine->sync_left)
		engine->syncing = command;
	else
		finish(engine, command, result);
}

static void run_sync(struct sg_engine *engine, unsigned int count)
{
	if (!engine->syncing)
		return;
	engine->sync_left = count && engine->sync_left > count ? engine->sync_left - count : 0;
	if (!engine->sync_left) {
		finish(engine, engine->syncing, 0);
		engine->syncing = NULL;
	}
}

/* Sets the ports' pace at the end of a window. */
static void share_out(struct sg_engine *engine, __u64 now)
{
	struct seg_control *control = engine->maps.control;
	struct sg_share_load load = {
		.wall_ns = now - engine->share_ns, .idle_ns = engine->idle_ns,
		.frames = engine->stats.frames - engine->share_frames,
		.hit = engine->share_hit,
		.contended = sg_core_contended(engine->core),
	};

	for (int i = 0; engine->state && i < SG_RINGS; i++)
		load.behind |= sg_ring_is_behind(&engine->rings[i]);
	if (control && __atomic_load_n(&control->share_hit, __ATOMIC_RELAXED))
		load.hit |= (int)__atomic_exchange_n(&control->share_hit, 0, __ATOMIC_RELAXED);
	sg_share_decide(&engine->share, &load, now);
	engine->share_hit = sg_core_share(engine->core, engine->share.gap_ns, load.behind);
	if (control && control->share_gap_ns != engine->share.gap_ns)
		__atomic_store_n(&control->share_gap_ns, engine->share.gap_ns, __ATOMIC_RELAXED);
	engine->share_ns = now;
	engine->share_frames = engine->stats.frames;
	engine->idle_ns = 0;
}

static void run_timers(struct sg_engine *engine, __u64 now)
{
	if (now - engine->beat_ns >= BEAT_NS && engine->state) {
		engine->beat_ns = now;
		sg_flowmap_beat(&engine->maps, now);
	}
	sg_flowmap_opens_nothing(&engine->maps, !engine->state || !sg_core_has_room(engine->core));
	if (sg_flowmap_closes_lost(&engine->maps))
		sg_core_closes_lost(engine->core);
	if (now - engine->share_ns >= SG_SHARE_WINDOW_NS)
		share_out(engine, now);
	if (now >= engine->tick_ns) {
		engine->tick_ns = now + sg_core_tick(engine->core, now);
		sg_send_flush(&engine->send);
	}
	engine->stats.moves += (__u64)sg_cpu_affinity_look(&engine->cpu_affinity, engine->maps.control,
						    engine->stats.frames, now);
}

/* poll says "filled" and the head slot says "not": for microseconds while two CPUs fill slots, for
 * good where the index is wrong. */
static void check_stuck(struct sg_engine *engine, struct sg_ring *ring, int readable, __u64 now)
{
	if (!readable || sg_ring_peek(ring)) {
		ring->stuck_ns = 0;
	} else if (!ring->stuck_ns) {
		ring->stuck_ns = now;
	} else if (now - ring->stuck_ns > STUCK_NS) {
		engine->stats.resyncs += (unsigned int)sg_ring_resync(ring);
		ring->stuck_ns = 0;
	}
}

static void wait_for_frames(struct sg_engine *engine, __u64 now)
{
	__u64 left = engine->tick_ns > now ? engine->tick_ns - now : 0;
	struct timespec timeout = { .tv_nsec = (long)(left < WAIT_MAX_NS ? left : WAIT_MAX_NS) };
	struct pollfd polls[SG_RINGS + 1];
	__u64 before;
	int ready;

	for (int i = 0; i < SG_RINGS; i++)
		polls[i] = (struct pollfd){ engine->state ? engine->fds[i] : -1, POLLIN, 0 };
	polls[SG_RINGS] = (struct pollfd){ engine->wake_fd, POLLIN, 0 };
	engine->stats.waits++;
	before = sg_loop_now();
	ready = ppoll(polls, SG_RINGS + 1, &timeout, NULL);
	now = sg_loop_now();
	engine->idle_ns += now - before;
	if (ready <= 0 || !engine->state)
		return;
	for (int i = 0; i < SG_RINGS; i++) {
		if (polls[i].revents & POLLERR) {
			int error;
			socklen_t len = sizeof(error);

			/* Reading the error clears it; the socket works again when the link is up. */
			getsockopt(polls[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
			engine->stats.link_errors++;
		}
		check_stuck(engine, &engine->rings[i], polls[i].revents & POLLIN, now);
	}
}

void *sg_loop_run(void *context)
{
	struct sg_engine *engine = context;
	int had_frames = 0, emptied;

	pthread_setname_np(pthread_self(), "segctl-packets");
	sg_cpu_affinity_open(&engine->cpu_affinity);
	while (!__atomic_load_n(&engine->stop, __ATOMIC_ACQUIRE)) {
		__u64 now = sg_loop_now();
		unsigned int count, opens, closes;

		/* A RST that is handled before earlier frames would look like a blind one. */
		sg_kernel_ring_mark(&engine->closes, engine->stats.frames, slots(engine));
		opens = engine->state ? sg_loop_take_opens(engine, now, OPEN_EVENTS_PER_ROUND) : 0;
		count = drain(engine, now, &emptied);
		had_frames |= count != 0;
		if (!count && emptied && engine->state) {
			sg_flowmap_drained(&engine->maps, now, had_frames);
			had_frames = 0;
		}
		/* A connection's open event comes before its close events. */
		closes = opens < OPEN_EVENTS_PER_ROUND ? take_close_events(engine, now, emptied) : 0;

		if (count || emptied)
			run_sync(engine, count);
		run_command(engine);
		run_timers(engine, now);
		if (!count && opens < OPEN_EVENTS_PER_ROUND && closes < CLOSE_EVENTS_PER_ROUND && !engine->syncing)
			wait_for_frames(engine, now);
	}
	sg_cpu_affinity_close(&engine->cpu_affinity);
	return NULL;
}
