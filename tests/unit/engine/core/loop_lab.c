/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The packet loop over rings in plain memory: frames lie there, and one record of a closed connection, before it runs.
 *
 * In: on stdin each frame behind its length (two bytes, big-endian); the mode. `once`: prints the state of the first
 * session when all was read. `refill`: the rings never run empty; prints how many frames were read before the record was.
 * `busy`: a program never finishes its record of a connection that it opens; prints how many frames were read all the same.
 * `behind`: the same, and prints what `once` does.
 * Rings are memfds, so that all of the loop but the sockets is the real one. */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/sg_loop.h"

enum { PORT = 0x0107, SLOT = 2048, BLOCKS = 1 << 20, ENDS = 4096, TRIES = 5000, AT = 128 };

static const unsigned int blocks[SG_RINGS] = { 16, 6, 12 };
static struct sg_engine engine;
static struct sg_ring_state state;
static __u64 consumed, consumed_opens, taken_after;
static int refills;
static struct kernel_ring {
	__u64 produced;
	__u8 data[2 * ENDS];
} ends __attribute__((aligned(8))), opens __attribute__((aligned(8)));

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static struct tpacket2_hdr *slot(__u32 index)
{
	return (struct tpacket2_hdr *)(engine.rings[SG_RING_SMALL].map + (size_t)index * SLOT);
}

static __u32 fill(void)
{
	__u8 length[2];
	__u32 count = 0;

	while (fread(length, 1, 2, stdin) == 2) {
		struct tpacket2_hdr *head = slot(count++);
		__u32 bytes = (__u32)length[0] << 8 | length[1];

		head->tp_mac = AT;
		head->tp_len = head->tp_snaplen = bytes;
		if (fread((__u8 *)head + AT, 1, bytes, stdin) != bytes)
			fail("a frame");
		head->tp_status = TP_STATUS_USER;
	}
	return count;
}

/* Instead of sg_ring_release(): with `refill` new frames are in all slots as soon as the loop gives them back. */
void __real_sg_ring_release(struct sg_ring *ring);
void __wrap_sg_ring_release(struct sg_ring *ring);
void __wrap_sg_ring_release(struct sg_ring *ring)
{
	__u32 index = (__u32)state.next[ring->kind];

	__real_sg_ring_release(ring);
	for (; refills && index != ring->head; index = (index + 1) % ring->slots)
		slot(index)->tp_status = TP_STATUS_USER;
}

/* Notes when. */
int __real_sg_kernel_ring_take(struct sg_kernel_ring *from, void *out);
int __wrap_sg_kernel_ring_take(struct sg_kernel_ring *from, void *out);
int __wrap_sg_kernel_ring_take(struct sg_kernel_ring *from, void *out)
{
	int taken = __real_sg_kernel_ring_take(from, out);

	if (taken)
		taken_after = engine.stats.frames;
	return taken;
}

static void make(void)
{
	struct sg_io io = sg_loop_io(&engine);
	struct sg_policy policy = {
		.generation = 1, .port_id = PORT, .mode = SEG_MODE_PROTECT, .default_verdict = SEG_VERDICT_ALLOW,
	};

	engine.core = sg_core_new(&io, &(struct sg_core_config){ .max_sessions = 1000, .flow_cache = 1 });
	if (!engine.core || sg_core_policy_set(engine.core, &policy, NULL))
		fail("a core");
	sg_flowmap_init(&engine.maps);
	engine.wake_fd = eventfd(0, EFD_NONBLOCK);
	engine.send = (struct sg_send){
		.fd = -1, .stats = &engine.stats, .failed = engine.failed, .unsent = engine.unsent,
	};
	pthread_mutex_init(&engine.lock, NULL);
	for (unsigned int i = 0; i < SG_RINGS; i++) {
		engine.fds[i] = memfd_create("ring", 0);
		if (ftruncate(engine.fds[i], (off_t)blocks[i] * BLOCKS) ||
		    sg_ring_map(&engine.rings[i], i, engine.fds[i], &state))
			fail("a ring");
	}
	engine.state = &state;
	engine.closes = (struct sg_kernel_ring){
		.consumed = &consumed, .pages = (const __u8 *)&ends.produced, .data = ends.data, .size = ENDS,
		.bytes = sizeof(struct seg_close_event),
	};
}

/* The initiator's RST of the first session. */
static void tell(void)
{
	struct seg_close_event record = { .session = 1ULL << 32 | 1, .dir = SEG_DIR_EGRESS, .close = SEG_CLOSE_RST };
	__u32 header[2] = { sizeof(record) };

	memcpy(ends.data, header, sizeof(header));
	memcpy(ends.data + sizeof(header), &record, sizeof(record));
	ends.produced = sizeof(header) + sizeof(record);
}

/* The oldest record is being written. Checks for how long it holds others up. */
static void begin_open(void)
{
	__u32 header[2] = { sizeof(struct seg_open_event) | BPF_RINGBUF_BUSY_BIT };
	struct sg_kernel_ring *ring = &engine.opens;

	*ring = (struct sg_kernel_ring){
		.consumed = &consumed_opens, .pages = (const __u8 *)&opens.produced, .data = opens.data, .size = ENDS,
		.bytes = sizeof(struct seg_open_event),
	};
	if (sg_kernel_ring_is_busy(ring, 1))
		fail("an empty ring");
	memcpy(opens.data, header, sizeof(header));
	opens.produced = sizeof(header) + sizeof(struct seg_open_event);
	if (!sg_kernel_ring_is_busy(ring, 5000) || !sg_kernel_ring_is_busy(ring, 1004999) ||
	    sg_kernel_ring_is_busy(ring, 1005000))
		fail("a busy ring");
	header[0] &= ~BPF_RINGBUF_BUSY_BIT;
	memcpy(opens.data, header, sizeof(header));
	if (sg_kernel_ring_is_busy(ring, 5000))
		fail("a whole record");
	header[0] |= BPF_RINGBUF_BUSY_BIT;
	memcpy(opens.data, header, sizeof(header));
}

int main(int argc, char **argv)
{
	struct sg_session_info info = { 0 };
	__u32 count, cursor = 0;

	refills = argc > 1 && !strcmp(argv[1], "refill");
	make();
	count = fill();
	tell();
	if (argc > 1 && (!strcmp(argv[1], "busy") || !strcmp(argv[1], "behind")))
		begin_open();
	if (pthread_create(&engine.thread, NULL, sg_loop_run, &engine))
		fail("a thread");
	for (int i = 0; i < TRIES && (__atomic_load_n(&consumed, __ATOMIC_ACQUIRE) != ends.produced ||
				      __atomic_load_n(&engine.stats.frames, __ATOMIC_RELAXED) < count); i++)
		usleep(1000);
	__atomic_store_n(&engine.stop, 1, __ATOMIC_RELEASE);
	pthread_join(engine.thread, NULL);
	if (consumed != ends.produced)
		return 1;
	if (argc > 1 && !strcmp(argv[1], "busy"))
		printf("%llu\n", (unsigned long long)(consumed_opens ? 0 : engine.stats.frames));
	else if (refills)
		printf("%llu\n", (unsigned long long)taken_after);
	else if (sg_core_sessions(engine.core, PORT, &info, 1, &cursor) == 1)
		printf("%u\n", info.tcp_state);
	return 0;
}
