/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Receive rings: the agent opens them in the enforcer's namespace, the engine maps them.
 *
 * Sizes. A frame of SG_*_FRAME_MAX fits a slot of its ring after 76 bytes of headers. A big slot
 * takes any frame that vth can deliver: a device of MTU 65535, and super-frames, which the kernel
 * itself segments on the way into vbr-neuv when they reach that link's gso_max_size (65536, also
 * for the BIG TCP of others: so vbr-neuv's gso_max_size must not be raised). Longer is truncated,
 * seen by tp_len, and dropped with a reason by the core.
 */
#define _GNU_SOURCE
#include "io/sg_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/sg_ring_filter.h"

#define BLOCK_BYTES (1u << 20)
#define SEND_BUFFER (16 << 20)

static const struct {
	__u32 slot_bytes;
	__u32 blocks;
	__u32 longest;			/* frame */
	__u32 behind;			/* so many waiting frames: the engine does not keep up */
} layouts[SG_RINGS] = {
	[SG_RING_SMALL] = { 2048, 16, SG_SMALL_FRAME_MAX, 384 },	/* 8192 slots */
	[SG_RING_MIDDLE] = { 9472, 6, SG_MIDDLE_FRAME_MAX, 165 },	/* 660 slots */
	[SG_RING_BIG] = { 68 << 10, 12, ~0u, 90 },			/* 180 slots, 11 MB of super-frames: two TCP windows */
};

static __u32 slots_per_block(unsigned int kind)
{
	return BLOCK_BYTES / layouts[kind].slot_bytes;
}

static struct tpacket2_hdr *slot_at(const struct sg_ring *ring, __u32 index)
{
	__u32 per_block = slots_per_block(ring->kind);

	return (struct tpacket2_hdr *)(ring->map + (size_t)(index / per_block) * BLOCK_BYTES +
				       (size_t)(index % per_block) * layouts[ring->kind].slot_bytes);
}

static int is_filled(const struct tpacket2_hdr *slot)
{
	return __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

static void set_head(struct sg_ring *ring, __u32 index)
{
	ring->head = index;
	ring->slot = slot_at(ring, index);
}

int sg_ring_map(struct sg_ring *ring, unsigned int kind, int fd, struct sg_ring_state *shared)
{
	size_t len = (size_t)layouts[kind].blocks * BLOCK_BYTES;
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ring = (struct sg_ring){
		.fd = fd,
		.kind = kind,
		.map = map,
		.map_len = len,
		.slots = slots_per_block(kind) * layouts[kind].blocks,
		.shared = shared,
	};
	/* Another process wrote the memfd, so its values are checked. */
	set_head(ring, shared->next[kind] < ring->slots ? (__u32)shared->next[kind] : 0);
	shared->next[kind] = ring->head;
	return 0;
}

void sg_ring_unmap(struct sg_ring *ring)
{
	if (ring->map)
		munmap(ring->map, ring->map_len);
	ring->map = NULL;
}

const struct tpacket2_hdr *sg_ring_peek(const struct sg_ring *ring)
{
	return is_filled(ring->slot) ? ring->slot : NULL;
}

void sg_ring_frame(const struct tpacket2_hdr *slot, struct sg_frame *frame)
{
	const __u8 *start = (const __u8 *)slot + slot->tp_mac;

	frame->data = start;
	frame->len = slot->tp_snaplen;
	frame->wire_len = slot->tp_len;
	frame->has_vlan = !!(slot->tp_status & TP_STATUS_VLAN_VALID);
	frame->vlan_tci = frame->has_vlan ? slot->tp_vlan_tci : 0;
	frame->vlan_tpid = slot->tp_status & TP_STATUS_VLAN_TPID_VALID ? slot->tp_vlan_tpid
								       : ETH_P_8021Q;
	memcpy(frame->vnet, start - SG_VNET_HDR_LEN, SG_VNET_HDR_LEN);
	frame->made = 0;
}

void sg_ring_advance(struct sg_ring *ring)
{
	set_head(ring, ring->head + 1 == ring->slots ? 0 : ring->head + 1);
}

void sg_ring_release(struct sg_ring *ring)
{
	__u32 index = (__u32)ring->shared->next[ring->kind];

	while (index != ring->head) {
		__atomic_store_n(&slot_at(ring, index)->tp_status, TP_STATUS_KERNEL,
				 __ATOMIC_RELEASE);
		index = index + 1 == ring->slots ? 0 : index + 1;
		__atomic_store_n(&ring->shared->next[ring->kind], index, __ATOMIC_RELEASE);
	}
}

int sg_ring_is_behind(const struct sg_ring *ring)
{
	return is_filled(slot_at(ring, (ring->head + layouts[ring->kind].behind) % ring->slots));
}

int sg_ring_resync(struct sg_ring *ring)
{
	__u32 previous = ring->head;

	/* Filled slots are one run, the oldest first: it starts where a filled one follows a free. */
	for (__u32 step = 0; step < ring->slots; step++) {
		__u32 index = previous + 1 == ring->slots ? 0 : previous + 1;

		if (!is_filled(slot_at(ring, previous)) && is_filled(slot_at(ring, index))) {
			set_head(ring, index);
			ring->shared->next[ring->kind] = index;
			return 1;
		}
		previous = index;
	}
	return 0;
}

void sg_ring_read_drops(struct sg_ring *ring)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	if (getsockopt(ring->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len))
		return;
	/* tp_packets counts the dropped ones too. */
	ring->shared->packets[ring->kind] += stats.tp_packets;
	ring->shared->drops[ring->kind] += stats.tp_drops;
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

static int bind_to(int fd, __u16 protocol, unsigned int ifindex)
{
	struct sockaddr_ll where = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = (int)ifindex,
	};

	return bind(fd, (struct sockaddr *)&where, sizeof(where)) ? -errno : 0;
}

struct opening {
	const char *netns;
	const char *device;
	__u32 worker, workers;
	int *fds;
	int error;
};

/* Each ring's socket accepts the frames of its own size only. */
static int attach_filter(const struct opening *job, int fd, unsigned int kind)
{
	__u32 shortest = kind ? layouts[kind - 1].longest + 1 : 0;

	return sg_ring_filter(fd, shortest, layouts[kind].longest, job->worker, job->workers);
}

static int open_receive(const struct opening *job, unsigned int kind, unsigned int ifindex)
{
	struct tpacket_req request = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = layouts[kind].blocks,
		.tp_frame_size = layouts[kind].slot_bytes,
		.tp_frame_nr = slots_per_block(kind) * layouts[kind].blocks,
	};
	/* Protocol 0: nothing is received before the filter and the ring are there. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	job->fds[SG_FD_SMALL + kind] = fd;
	if ((error = set_option(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V2)) ||
	    (error = set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1)) ||
	    (error = set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)) ||
	    (error = attach_filter(job, fd, kind)))
		return error;
	if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)))
		return -errno;
	return bind_to(fd, ETH_P_ALL, ifindex);
}

static int open_send(unsigned int ifindex, int *out)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	*out = fd;
	if ((error = set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1)) ||
	    (error = set_option(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1)) ||
	    (error = set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER)))
		return error;
	return bind_to(fd, 0, ifindex);
}

static int open_state(int *out)
{
	int fd = memfd_create("segctl-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	*out = fd;
	/* Sealed, so that nobody can shorten it under the engine (SIGBUS). */
	if (ftruncate(fd, SG_STATE_BYTES) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	return 0;
}

static int open_all(const struct opening *job)
{
	int netns = open(job->netns, O_RDONLY | O_CLOEXEC);
	unsigned int ifindex;
	int error;

	if (netns < 0)
		return -errno;
	error = setns(netns, CLONE_NEWNET) ? -errno : 0;
	close(netns);
	if (error)
		return error;
	ifindex = if_nametoindex(job->device);
	if (!ifindex)
		return -errno;
	if ((error = open_state(&job->fds[SG_FD_STATE])) ||
	    (error = open_send(ifindex, &job->fds[SG_FD_SEND])))
		return error;
	for (unsigned int kind = 0; kind < SG_RINGS && !error; kind++)
		error = open_receive(job, kind, ifindex);
	return error;
}

static void *opening_thread(void *context)
{
	struct opening *job = context;

	job->error = open_all(job);
	return NULL;
}

int sg_rings_open(const char *netns, const char *device, __u32 worker, __u32 workers, int *fds)
{
	struct opening job = {
		.netns = netns, .device = device, .worker = worker, .workers = workers, .fds = fds,
	};
	pthread_t thread;
	int error;

	for (int i = 0; i < SG_FDS; i++)
		fds[i] = -1;
	/* A thread of its own: setns() changes the caller's namespace, and this one ends here. */
	error = -pthread_create(&thread, NULL, opening_thread, &job);
	if (error)
		return error;
	pthread_join(thread, NULL);
	for (int i = 0; job.error && i < SG_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return job.error;
}
