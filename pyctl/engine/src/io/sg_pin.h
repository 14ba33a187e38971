/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* bpf(2) from C, and the maps that are pinned. */
#ifndef SG_PIN_H
#define SG_PIN_H

#include <linux/bpf.h>
#include <linux/types.h>

/* A result, or -errno. */
long sg_bpf(int command, union bpf_attr *attr);

static inline __u64 sg_bpf_pointer(const void *address)
{
	return (__u64)(unsigned long)address;
}

/* A descriptor, or -errno. A pin of another layout is refused (-EINVAL): bcc and the kernel would take it.
 * Its max_entries are added to *entries. */
int sg_pin_open(const char *directory, const char *name, __u32 type, __u32 key_size, __u32 value_size,
		__u32 *entries);

#endif
