/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* bpf(2) on the pinned maps; see the header. */
#include "io/sg_flowmap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "io/sg_pin.h"
#include "segctl_seal.h"
#include "segctl_worker.h"

enum { CREDITS_BYTES = SEG_PORT_IDS * sizeof(__s64) };
#define VERSIONS (0x100000000ULL / SEG_WORKERS_MAX)	/* of one worker, before a number comes again */
#define KERNEL_ENOTSUPP 524	/* not among the userland errnos */
#define CONTROLS_BYTES (SEG_WORKERS_MAX * sizeof(struct seg_control))

void sg_flowmap_init(struct sg_flowmap *maps)
{
	*maps = (struct sg_flowmap){ .fd4 = -1, .fd6 = -1, .services = -1, .classes = -1, .queries = -1, .names = -1,
				     .cache = 1 };
}

void sg_flowmap_close(struct sg_flowmap *maps)
{
	if (maps->fd4 >= 0)
		close(maps->fd4);
	if (maps->fd6 >= 0)
		close(maps->fd6);
	if (maps->services >= 0)
		close(maps->services);
	if (maps->classes >= 0)
		close(maps->classes);
	if (maps->controls)
		munmap(maps->controls, CONTROLS_BYTES);
	if (maps->queries >= 0)
		close(maps->queries);
	if (maps->names >= 0)
		close(maps->names);
	if (maps->credits)
		munmap(maps->credits, CREDITS_BYTES);
	maps->credits = NULL;
	maps->fd4 = maps->fd6 = maps->services = maps->classes = maps->queries = maps->names = -1;
	maps->controls = maps->control = NULL;
}

/* Map an array's memory into *memory. Returns 0 or -errno. */
static int map_array(const char *directory, const char *name, __u32 value_size, size_t bytes, void *memory)
{
	__u32 unused = 0;
	int fd = sg_pin_open(directory, name, BPF_MAP_TYPE_ARRAY, sizeof(__u32), value_size, &unused), error = 0;
	void *page;

	if (fd < 0)
		return fd;
	page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		error = -errno;
	else
		memcpy(memory, &page, sizeof(page));
	close(fd);
	return error;
}

int sg_flowmap_open(struct sg_flowmap *maps, const char *directory)
{
	struct sg_flowmap found = {
		.fd4 = -1, .fd6 = -1, .services = -1, .classes = -1, .queries = -1, .names = -1, .cache = maps->cache,
		.worker = maps->worker, .workers = maps->workers,
	};
	char credits[32];
	__u32 unused = 0;
	int error = 0;

	found.fd4 = sg_pin_open(directory, "seg_flows4", BPF_MAP_TYPE_HASH,
			     sizeof(struct seg_flow_key4), sizeof(struct seg_flow),
			     &found.capacity);
	found.fd6 = sg_pin_open(directory, "seg_flows6", BPF_MAP_TYPE_HASH,
			     sizeof(struct seg_flow_key6), sizeof(struct seg_flow),
			     &found.capacity);
	found.services = sg_pin_open(directory, "seg_services", BPF_MAP_TYPE_LRU_HASH, sizeof(struct seg_service_key),
				     sizeof(struct seg_service), &unused);
	found.classes = sg_pin_open(directory, "seg_classes", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct seg_class_key),
				    sizeof(__u32), &unused);
	found.queries = sg_pin_open(directory, "seg_queries", BPF_MAP_TYPE_LRU_HASH, sizeof(struct seg_query_key),
				    sizeof(struct seg_query), &unused);
	found.names = sg_pin_open(directory, "seg_names", BPF_MAP_TYPE_HASH, sizeof(struct seg_name_key),
				  sizeof(struct seg_name), &unused);
	if (found.fd4 < 0 || found.fd6 < 0)
		error = found.fd4 < 0 ? found.fd4 : found.fd6;
	else if (found.services < 0 || found.classes < 0)
		error = found.services < 0 ? found.services : found.classes;
	else if (found.queries < 0 || found.names < 0)
		error = found.queries < 0 ? found.queries : found.names;
	else if (found.worker >= SEG_WORKERS_MAX)
		error = -EINVAL;
	snprintf(credits, sizeof(credits), "seg_credits-%u", found.worker);
	if (!error)
		error = map_array(directory, credits, sizeof(__s64), CREDITS_BYTES, &found.credits);
	if (!error)
		error = map_array(directory, "seg_control", sizeof(*found.control), CONTROLS_BYTES, &found.controls);
	if (!error) {
		found.control = &found.controls[found.worker];
		found.control->share_ahead_ns = SEG_SHARE_AHEAD_NS;
		if (getrandom(&found.control->share_seed, sizeof(__u64), 0) != sizeof(__u64))
			error = -EIO;
		/* One for the map's life: a former engine's verdicts hold while this one starts. */
		if (!error && !found.controls->flow_secret[0] &&
		    getrandom(found.controls->flow_secret, sizeof(found.controls->flow_secret), 0) !=
			    sizeof(found.controls->flow_secret))
			error = -EIO;
	}
	if (error) {
		sg_flowmap_close(&found);
		return error;
	}
	sg_flowmap_close(maps);
	*maps = found;
	return 0;
}

/* `value`: or the next key. */
static int element(int fd, int command, const void *key, const void *value, __u64 flags)
{
	union bpf_attr attr;

	if (fd < 0)
		return -ENODEV;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (__u32)fd;
	attr.key = sg_bpf_pointer(key);
	attr.value = sg_bpf_pointer(value);
	attr.flags = flags;
	return (int)sg_bpf(command, &attr);
}

static int fd_of(const struct sg_flowmap *maps, int family)
{
	return family == SEG_FAMILY_IPV4 ? maps->fd4 : maps->fd6;
}

int sg_flowmap_put(const struct sg_flowmap *maps, int family, const void *key,
		   const struct seg_flow *flow, __u64 generation)
{
	const union seg_flow_key *flow_key = key;
	struct seg_flow sealed = *flow;
	__u32 bytes = family == SEG_FAMILY_IPV4 ? sizeof(flow_key->v4) : sizeof(flow_key->v6);

	if (!maps->cache || !maps->control)
		return -ENODEV;
	sealed.seal = seg_seal(maps->controls->flow_secret, flow_key->words, bytes / 8, flow->session,
			       generation, seg_flow_verdicts(flow->ways[0].verdict, flow->ways[1].verdict));
	sealed.ways[0].behind = sealed.ways[1].behind = maps->control->drained_ns & 1;
	/* Not over an entry that a program made, and whose event is still to come. */
	return element(fd_of(maps, family), BPF_MAP_UPDATE_ELEM, key, &sealed, BPF_NOEXIST);
}

int sg_flowmap_put_service(const struct sg_flowmap *maps, const struct seg_service_key *key,
			   const struct seg_service *service)
{
	struct seg_service sealed = *service, known = { 0 };
	__u64 words[sizeof(*key) / 8];

	if (!maps->cache || !maps->control)
		return -ENODEV;
	memcpy(words, key, sizeof(words));
	sealed.seal = seg_seal(maps->controls->flow_secret, words, sizeof(words) / 8,
			       seg_service_rule(service->rule_key, service->rule_id), service->generation,
			       service->verdict);
	/* Written again it would be new, and datagrams would have to wait. */
	if (!element(maps->services, BPF_MAP_LOOKUP_ELEM, key, &known, 0) && known.seal == sealed.seal)
		return 0;
	return element(maps->services, BPF_MAP_UPDATE_ELEM, key, &sealed, BPF_ANY);
}

void sg_flowmap_credit(const struct sg_flowmap *maps, __u16 port_id, __s64 connections)
{
	if (maps->credits)
		__atomic_store_n(&maps->credits[port_id], connections, __ATOMIC_RELAXED);
}

int sg_flowmap_put_query(const struct sg_flowmap *maps, const struct seg_query_key *key, const struct seg_query *value)
{
	return element(maps->queries, BPF_MAP_UPDATE_ELEM, key, value, BPF_ANY);
}

int sg_flowmap_get_query(const struct sg_flowmap *maps, const struct seg_query_key *key, struct seg_query *value)
{
	return element(maps->queries, BPF_MAP_LOOKUP_ELEM, key, value, 0);
}

int sg_flowmap_put_name(const struct sg_flowmap *maps, const struct seg_name_key *key, const struct seg_name *name)
{
	return element(maps->names, BPF_MAP_UPDATE_ELEM, key, name, BPF_ANY);
}

int sg_flowmap_get_name(const struct sg_flowmap *maps, const struct seg_name_key *key, struct seg_name *name)
{
	return element(maps->names, BPF_MAP_LOOKUP_ELEM, key, name, 0);
}

int sg_flowmap_delete_name(const struct sg_flowmap *maps, const struct seg_name_key *key)
{
	return element(maps->names, BPF_MAP_DELETE_ELEM, key, NULL, 0);
}

void sg_flowmap_opens_nothing(const struct sg_flowmap *maps, int nothing)
{
	__u32 wanted = nothing || !maps->cache;

	if (maps->control && maps->control->opens_nothing != wanted)
		__atomic_store_n(&maps->control->opens_nothing, wanted, __ATOMIC_RELAXED);
}

int sg_flowmap_closes_lost(const struct sg_flowmap *maps)
{
	return maps->control && __atomic_load_n(&maps->control->closes_lost, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&maps->control->closes_lost, 0, __ATOMIC_RELAXED);
}

int sg_flowmap_get(const struct sg_flowmap *maps, int family, const void *key,
		   struct seg_flow *flow)
{
	return element(fd_of(maps, family), BPF_MAP_LOOKUP_ELEM, key, flow, 0);
}

int sg_flowmap_delete(const struct sg_flowmap *maps, int family, const void *key,
		      struct seg_flow *last)
{
	int fd = fd_of(maps, family), error;
	struct seg_flow unwanted;

	if (!last)
		last = &unwanted;
	error = element(fd, BPF_MAP_LOOKUP_AND_DELETE_ELEM, key, last, 0);
	/* Hash maps have it since 5.14; before that, packets between the two calls are not counted. */
	if (error == -KERNEL_ENOTSUPP || error == -EINVAL || error == -EOPNOTSUPP) {
		error = element(fd, BPF_MAP_LOOKUP_ELEM, key, last, 0);
		if (!error)
			error = element(fd, BPF_MAP_DELETE_ELEM, key, NULL, 0);
	}
	return error;
}

static __u32 fold(const void *addresses, __u32 bytes)
{
	__u32 words[8] = { 0 }, all = 0;

	memcpy(words, addresses, bytes);
	for (int i = 0; i < 8; i++)
		all ^= words[i];
	return ntohl(all);
}

/* Another worker's sessions stand behind its entries. */
static int is_own(const struct sg_flowmap *maps, int family, const union seg_flow_key *key)
{
	__u32 pair = family == SEG_FAMILY_IPV4 ? fold(&key->v4.local, 8) : fold(key->v6.local, 32);

	return seg_worker_of_pair(pair, maps->workers) == maps->worker;
}

static void clear(const struct sg_flowmap *maps, int family)
{
	union seg_flow_key key = { 0 }, next = { 0 };
	int fd = fd_of(maps, family), end = element(fd, BPF_MAP_GET_NEXT_KEY, NULL, &key, 0);

	/* Get the next key before deleting this one: after a missing key the kernel starts again at the first of very many
	 * buckets. */
	while (!end) {
		end = element(fd, BPF_MAP_GET_NEXT_KEY, &key, &next, 0);
		if (is_own(maps, family, &key))
			element(fd, BPF_MAP_DELETE_ELEM, &key, NULL, 0);
		key = next;
	}
}

void sg_flowmap_clear(const struct sg_flowmap *maps)
{
	clear(maps, SEG_FAMILY_IPV4);
	clear(maps, SEG_FAMILY_IPV6);
}

void sg_flowmap_drained(const struct sg_flowmap *maps, __u64 now_ns, int had_frames)
{
	__u64 bit = maps->control ? (maps->control->drained_ns ^ !!had_frames) & 1 : 0;

	if (maps->control)
		__atomic_store_n(&maps->control->drained_ns, (now_ns & ~1ULL) | bit, __ATOMIC_RELAXED);
}

void sg_flowmap_beat(const struct sg_flowmap *maps, __u64 now_ns)
{
	if (maps->control)
		__atomic_store_n(&maps->control->heartbeat_ns, now_ns, __ATOMIC_RELAXED);
}

/* seg_classes. */

int sg_flowmap_put_class(const struct sg_flowmap *maps, const struct seg_class_key *key, __u32 class)
{
	return element(maps->classes, BPF_MAP_UPDATE_ELEM, key, &class, BPF_ANY);
}

int sg_flowmap_delete_class(const struct sg_flowmap *maps, const struct seg_class_key *key)
{
	return element(maps->classes, BPF_MAP_DELETE_ELEM, key, NULL, 0);
}

__u32 sg_flowmap_new_version(const struct sg_flowmap *maps)
{
	__u32 last = 0;

	while (maps->controls && !last)
		last = __atomic_add_fetch(&maps->controls->class_last, 1, __ATOMIC_RELAXED) % VERSIONS;
	/* It says whose it is. */
	return last ? last * SEG_WORKERS_MAX + maps->worker : 0;
}

void sg_flowmap_use_version(const struct sg_flowmap *maps, __u32 version)
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

void sg_flowmap_sweep_classes(const struct sg_flowmap *maps)
{
	struct seg_class_key key = { 0 }, next;
	int end = element(maps->classes, BPF_MAP_GET_NEXT_KEY, NULL, &key, 0);

	/* Get the next key before deleting this one, because a missing key's successor is the first. */
	while (!end) {
		end = element(maps->classes, BPF_MAP_GET_NEXT_KEY, &key, &next, 0);
		if (is_over(maps, key.version))
			sg_flowmap_delete_class(maps, &key);
		key = next;
	}
}
