/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Calls bpf(2), and opens pinned maps. */
#ifndef SG_PIN_H
#define SG_PIN_H

#include <linux/bpf.h>
#include <linux/types.h>

/* Return bpf(2)'s result, or -errno. */
long sg_bpf(int command, union bpf_attr *attr);

static inline __u64 sg_bpf_pointer(const void *address)
{
	return (__u64)(unsigned long)address;
}

/* Return a pin's descriptor, or -errno; -EINVAL for another layout, which bcc and the kernel would accept.
 * Adds its max_entries to *entries. */
int sg_pin_open(const char *directory, const char *name, __u32 type, __u32 key_size, __u32 value_size,
		__u32 *entries);

#endif
