/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* bpf(2) on seg_classes; see the header. */
#include "io/sg_classmap.h"

#include <errno.h>
#include <string.h>

#include "io/sg_pin.h"

#define VERSIONS (0x100000000ULL / SEG_WORKERS_MAX)	/* of one worker, before a number comes again */

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
	__u32 last = 0;

	while (maps->controls && !last)
		last = __atomic_add_fetch(&maps->controls->class_last, 1, __ATOMIC_RELAXED) % VERSIONS;
	/* It says whose it is. */
	return last ? last * SEG_WORKERS_MAX + maps->worker : 0;
}

void sg_classmap_use(const struct sg_flowmap *maps, __u32 version)
{
	if (maps->control)
		__atomic_store_n(&maps->control->class_version, version, __ATOMIC_SEQ_CST);
}

/* Whether the version may be deleted. Another worker's may be one that is just being written; the first worker deletes those
 * of workers that there are no more. */
static int is_over(const struct sg_flowmap *maps, __u32 version)
{
	__u32 worker = version % SEG_WORKERS_MAX;

	if (worker != maps->worker)
		return !maps->worker && worker >= maps->workers;
	return version != __atomic_load_n(&maps->control->class_version, __ATOMIC_RELAXED);
}

void sg_classmap_sweep(const struct sg_flowmap *maps)
{
	struct seg_class_key key = { 0 }, next;
	int end = element(maps, BPF_MAP_GET_NEXT_KEY, NULL, &key);

	/* Get the next key before deleting this one, because a missing key's successor is the first. */
	while (!end) {
		end = element(maps, BPF_MAP_GET_NEXT_KEY, &key, &next);
		if (is_over(maps, key.version))
			sg_classmap_delete(maps, &key);
		key = next;
	}
}
