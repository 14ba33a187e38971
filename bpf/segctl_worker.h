/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which worker a packet is for: engines share the packets by a hash of both addresses. So both directions of a flow, both
 * ends of one between two ports, and all its fragments are one worker's; so is an ICMP error, by the addresses that it
 * quotes. What is not IP is the first worker's.
 *
 * API: seg_worker_of_pair(). The same is computed in lib/seg_worker.h and, as a socket filter, in io/sg_ring_filter.c. */
#ifndef SEGCTL_WORKER_H
#define SEGCTL_WORKER_H

#include "segctl_abi.h"

#define SEG_WORKER_MIX 0x9e3779b1U

/* `pair`: the XOR of all 32-bit words of both addresses, in host order. */
static inline __attribute__((always_inline)) __u32 seg_worker_of_pair(__u32 pair, __u32 workers)
{
	return ((pair * SEG_WORKER_MIX) >> 16) * workers >> 16;
}

#endif
