/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* bpf(2), and pinned maps; see the header. */
#include "io/sg_pin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_BYTES 512

long sg_bpf(int command, union bpf_attr *attr)
{
	long result = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return result < 0 ? -errno : result;
}

int sg_pin_open(const char *directory, const char *name, __u32 type, __u32 key_size,
		    __u32 value_size, __u32 *entries)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr;
	char path[PATH_BYTES];
	long fd, error;

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	memset(&attr, 0, sizeof(attr));
	attr.pathname = sg_bpf_pointer(path);
	fd = sg_bpf(BPF_OBJ_GET, &attr);
	if (fd < 0)
		return (int)fd;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (__u32)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = sg_bpf_pointer(&info);
	error = sg_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	if (!error && (info.type != type || info.key_size != key_size ||
		       info.value_size != value_size))
		error = -EINVAL;
	if (error) {
		close((int)fd);
		return (int)error;
	}
	*entries += info.max_entries;
	return (int)fd;
}
