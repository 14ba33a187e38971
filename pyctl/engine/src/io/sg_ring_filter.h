/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which frames a ring's socket takes, as a classic BPF program. */
#ifndef SG_RING_FILTER_H
#define SG_RING_FILTER_H

#include <linux/types.h>

/* Let the socket take frames from `shortest` to `longest` bytes of this worker of so many (segctl_worker.h). Workers are no
 * fanout group: one that dies while nobody holds its sockets would renumber the others. 0 or -errno. */
int sg_ring_filter(int fd, __u32 shortest, __u32 longest, __u32 worker, __u32 workers);

#endif
