/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Frames back to vbr-neuv, in batches. API: sg_send_queue(), sg_send_flush().
 *
 * A queued frame is not copied where `hold` says that its bytes stay until the flush (a ring slot
 * that is given back afterwards); what the core made itself goes to a scratch area.
 */
#ifndef SG_SEND_H
#define SG_SEND_H

#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/uio.h>

#include "api/sg_engine.h"

enum sg_send_limit {
	SG_BATCH = 64,
	SG_BATCH_PARTS = 4,		/* vnet header, MACs, VLAN tag, the rest */
	SG_BATCH_BYTES = 256 << 10,	/* few super-frames fill a batch: they are to move on */
	SG_SCRATCH_BYTES = 128 << 10,
};

struct sg_send {
	int fd;
	unsigned int count;
	unsigned int bytes;
	unsigned int scratch_used;
	struct mmsghdr messages[SG_BATCH];
	struct iovec parts[SG_BATCH][SG_BATCH_PARTS];
	__u8 vnet[SG_BATCH][SG_VNET_HDR_LEN];
	__u8 tag[SG_BATCH][4];
	__u16 port_id[SG_BATCH];	/* whom a failure is charged to */
	__u32 length[SG_BATCH];
	__u8 made[SG_BATCH];
	__u8 scratch[SG_SCRATCH_BYTES];
	struct sg_reason_count *failed;	/* by port id, SEG_PORT_IDS places */
	struct sg_reason_count *unsent;	/* by port id: of `failed`, those that the core counted as sent on */
	struct sg_engine_stats *stats;
};

/* 0, or -EMSGSIZE for a frame that no batch can hold. Flushes first where the batch is full. */
int sg_send_queue(struct sg_send *send, const struct sg_frame *frame, int hold);
void sg_send_flush(struct sg_send *send);

#endif
