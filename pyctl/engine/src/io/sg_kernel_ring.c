/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A BPF ring buffer through its memory; see the header. Layout: kernel, kernel/bpf/ringbuf.c and
 * Documentation/bpf/ringbuf.rst: a page with the reader's position, one with the writers', the data. */
#include "io/sg_kernel_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/sg_pin.h"

#define BUSY_MAX_NS 1000000ull	/* a record is written in a microsecond, unless the hypervisor takes the CPU */

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static __u64 produced(const struct sg_kernel_ring *ring)
{
	return __atomic_load_n((const __u64 *)(const void *)ring->pages, __ATOMIC_ACQUIRE);
}

void sg_kernel_ring_close(struct sg_kernel_ring *ring)
{
	if (!ring->consumed)
		return;
	munmap(ring->consumed, page_size());
	munmap((void *)ring->pages, page_size() + 2 * (size_t)ring->size);
	ring->consumed = NULL;
	ring->mark = 0;
}

int sg_kernel_ring_open(struct sg_kernel_ring *ring, const char *directory, const char *name, __u32 bytes)
{
	struct sg_kernel_ring found = { .bytes = bytes };
	int fd = sg_pin_open(directory, name, BPF_MAP_TYPE_RINGBUF, 0, 0, &found.size);
	size_t page = page_size();
	void *reader, *writers = MAP_FAILED;
	int error = 0;

	if (fd < 0)
		return fd;
	reader = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (reader != MAP_FAILED)
		writers = mmap(NULL, page + 2 * (size_t)found.size, PROT_READ, MAP_SHARED, fd, (off_t)page);
	if (writers == MAP_FAILED) {
		error = -errno;
		if (reader != MAP_FAILED)
			munmap(reader, page);
	}
	close(fd);
	if (error)
		return error;
	found.consumed = reader;
	found.pages = writers;
	found.data = found.pages + page;
	found.taken = *found.consumed;
	sg_kernel_ring_close(ring);
	*ring = found;
	return 0;
}

void sg_kernel_ring_skip(struct sg_kernel_ring *ring)
{
	ring->taken = produced(ring);
	sg_kernel_ring_release(ring);
}

void sg_kernel_ring_mark(struct sg_kernel_ring *ring, __u64 frames, __u32 slots)
{
	if (!ring->consumed || ring->taken < ring->mark)
		return;
	ring->mark = produced(ring);
	ring->mark_frames = frames + slots;
}

int sg_kernel_ring_is_due(const struct sg_kernel_ring *ring, __u64 frames, int drained)
{
	return drained || frames >= ring->mark_frames;
}

static __u32 header_of(const struct sg_kernel_ring *ring, const __u8 **record)
{
	*record = ring->data + (ring->taken & (ring->size - 1));
	return __atomic_load_n((const __u32 *)(const void *)*record, __ATOMIC_ACQUIRE);
}

static int take(struct sg_kernel_ring *ring, void *out, __u64 end)
{
	while (ring->consumed && ring->taken < end) {
		const __u8 *record;
		__u32 header = header_of(ring, &record);
		__u32 length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		int whole = !(header & BPF_RINGBUF_DISCARD_BIT) && length == ring->bytes;

		/* Its writer has not finished. */
		if (header & BPF_RINGBUF_BUSY_BIT)
			return 0;
		if (whole)
			memcpy(out, record + BPF_RINGBUF_HDR_SZ, ring->bytes);
		ring->taken += (BPF_RINGBUF_HDR_SZ + (__u64)length + 7) & ~7ULL;
		if (whole)
			return 1;
	}
	return 0;
}

int sg_kernel_ring_take(struct sg_kernel_ring *ring, void *out)
{
	return take(ring, out, ring->mark);
}

int sg_kernel_ring_take_any(struct sg_kernel_ring *ring, void *out)
{
	return ring->consumed ? take(ring, out, produced(ring)) : 0;
}

int sg_kernel_ring_is_busy(struct sg_kernel_ring *ring, __u64 now_ns)
{
	const __u8 *record;

	if (!ring->consumed || ring->taken >= produced(ring) || !(header_of(ring, &record) & BPF_RINGBUF_BUSY_BIT)) {
		ring->busy_ns = 0;
		return 0;
	}
	if (!ring->busy_ns)
		ring->busy_ns = now_ns;
	return now_ns - ring->busy_ns < BUSY_MAX_NS;
}

void sg_kernel_ring_release(struct sg_kernel_ring *ring)
{
	if (ring->consumed && *ring->consumed != ring->taken)
		__atomic_store_n(ring->consumed, ring->taken, __ATOMIC_RELEASE);
}
