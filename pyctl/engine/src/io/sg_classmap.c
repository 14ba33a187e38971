/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* bpf(2) on seg_classes; see the header. */
#include "io/sg_classmap.h"

#include <errno.h>
#include <string.h>

#include "io/sg_pin.h"

static int element(const struct sg_flowmap *maps, int command, const void *key, const void *value)
{
	union bpf_attr attr;

	if (maps->classes < 0)
		return -ENODEV;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (__u32)maps->classes;
	attr.key = sg_bpf_pointer(key);
	/* Or the next key. */
	attr.value = sg_bpf_pointer(value);
	return (int)sg_bpf(command, &attr);
}

int sg_classmap_put(const struct sg_flowmap *maps, const struct seg_class_key *key, __u32 class)
{
	return element(maps, BPF_MAP_UPDATE_ELEM, key, &class);
}

int sg_classmap_delete(const struct sg_flowmap *maps, const struct seg_class_key *key)
{
	return element(maps, BPF_MAP_DELETE_ELEM, key, NULL);
}

__u32 sg_classmap_new_version(const struct sg_flowmap *maps)
{
	__u32 version = 0;

	/* One count for all workers: a number is one worker's alone. */
	while (maps->controls && !version)
		version = __atomic_add_fetch(&maps->controls->class_last, 1, __ATOMIC_RELAXED);
	return version;
}

void sg_classmap_use(const struct sg_flowmap *maps, __u32 version)
{
	if (maps->control)
		__atomic_store_n(&maps->control->class_version, version, __ATOMIC_SEQ_CST);
}

/* Whether a worker's programs read the version. */
static int is_in_force(const struct sg_flowmap *maps, __u32 version)
{
	for (__u32 worker = 0; !worker || worker < maps->workers; worker++)
		if (version == __atomic_load_n(&maps->controls[worker].class_version, __ATOMIC_RELAXED))
			return 1;
	return 0;
}

void sg_classmap_sweep(const struct sg_flowmap *maps)
{
	struct seg_class_key key = { 0 }, next;
	int end = element(maps, BPF_MAP_GET_NEXT_KEY, NULL, &key);

	/* Get the next key before deleting this one, because a missing key's successor is the first. */
	while (!end) {
		end = element(maps, BPF_MAP_GET_NEXT_KEY, &key, &next);
		if (!is_in_force(maps, key.version))
			sg_classmap_delete(maps, &key);
		key = next;
	}
}
