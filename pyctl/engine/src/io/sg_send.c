/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sending: sendmmsg() on a packet socket that bypasses the qdisc.
 *
 * Retry policy. ENOBUFS and EAGAIN (the backlog of the receiving CPU or the send buffer is full)
 * are tried again SEND_TRIES times, each after giving the CPU away; then the frame is dropped, as
 * a full queue of any switch would, and counted as SEND_FAILED for its port. Every other errno is
 * about this frame or the link, and trying again would only hold up the others.
 */
#include "io/sg_send.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <sched.h>
#include <string.h>

#define SEND_TRIES 8
#define MACS_LEN 12
#define TAG_LEN 4

_Static_assert(sizeof(struct virtio_net_hdr) == SG_VNET_HDR_LEN, "vnet header");

static __u16 port_of(const __u8 *frame)
{
	static const __u8 prefix[4] = { SEG_UCMAC_0, SEG_UCMAC_1, SEG_UCMAC_2, SEG_UCMAC_3 };

	for (const __u8 *mac = frame; mac <= frame + ETH_ALEN; mac += ETH_ALEN)
		if (!memcmp(mac, prefix, sizeof(prefix)))
			return (__u16)(mac[4] << 8 | mac[5]);
	return 0;
}

/* The tag lies in front of everything that the vnet header points at. */
static void shift_vnet(__u8 *bytes)
{
	struct virtio_net_hdr vnet;

	memcpy(&vnet, bytes, sizeof(vnet));
	if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		vnet.csum_start = (__u16)(vnet.csum_start + TAG_LEN);
	if (vnet.hdr_len)
		vnet.hdr_len = (__u16)(vnet.hdr_len + TAG_LEN);
	memcpy(bytes, &vnet, sizeof(vnet));
}

static const __u8 *keep(struct sg_send *send, const struct sg_frame *frame)
{
	__u8 *copy = send->scratch + send->scratch_used;

	memcpy(copy, frame->data, frame->len);
	send->scratch_used += frame->len;
	send->stats->copied++;
	return copy;
}

int sg_send_queue(struct sg_send *send, const struct sg_frame *frame, int hold)
{
	const __u8 *data = frame->data;
	struct iovec *part;
	unsigned int slot;

	if (frame->len < ETH_HLEN || (!hold && frame->len > SG_SCRATCH_BYTES))
		return -EMSGSIZE;
	if (send->count == SG_BATCH || send->bytes >= SG_BATCH_BYTES ||
	    (!hold && send->scratch_used + frame->len > SG_SCRATCH_BYTES))
		sg_send_flush(send);
	if (!hold)
		data = keep(send, frame);

	slot = send->count++;
	part = send->parts[slot];
	memcpy(send->vnet[slot], frame->vnet, SG_VNET_HDR_LEN);
	*part++ = (struct iovec){ send->vnet[slot], SG_VNET_HDR_LEN };
	if (frame->has_vlan) {
		send->tag[slot][0] = (__u8)(frame->vlan_tpid >> 8);
		send->tag[slot][1] = (__u8)frame->vlan_tpid;
		send->tag[slot][2] = (__u8)(frame->vlan_tci >> 8);
		send->tag[slot][3] = (__u8)frame->vlan_tci;
		shift_vnet(send->vnet[slot]);
		*part++ = (struct iovec){ (void *)data, MACS_LEN };
		*part++ = (struct iovec){ send->tag[slot], TAG_LEN };
		*part++ = (struct iovec){ (void *)(data + MACS_LEN), frame->len - MACS_LEN };
	} else {
		*part++ = (struct iovec){ (void *)data, frame->len };
	}
	send->messages[slot].msg_hdr = (struct msghdr){
		.msg_iov = send->parts[slot],
		.msg_iovlen = (size_t)(part - send->parts[slot]),
	};
	send->port_id[slot] = port_of(data);
	send->length[slot] = frame->len;
	send->made[slot] = frame->made;
	send->bytes += frame->len;
	return 0;
}

static void give_up(struct sg_send *send, unsigned int slot)
{
	struct sg_reason_count *count = &send->failed[send->port_id[slot]];

	count->packets++;
	count->bytes += send->length[slot];
	if (!send->made[slot]) {
		send->unsent[send->port_id[slot]].packets++;
		send->unsent[send->port_id[slot]].bytes += send->length[slot];
	}
	send->stats->send_failed++;
}

void sg_send_flush(struct sg_send *send)
{
	unsigned int done = 0, tries = 0;

	while (done < send->count) {
		int sent = sendmmsg(send->fd, send->messages + done, send->count - done, MSG_DONTWAIT);

		if (sent > 0) {
			done += (unsigned int)sent;
			send->stats->sent += (unsigned int)sent;
			tries = 0;
		} else if (errno == EINTR) {
			continue;
		} else if ((errno == ENOBUFS || errno == EAGAIN) && tries < SEND_TRIES) {
			tries++;
			send->stats->send_retried++;
			sched_yield();
		} else {
			give_up(send, done++);
			tries = 0;
		}
	}
	send->count = 0;
	send->bytes = 0;
	send->scratch_used = 0;
}
