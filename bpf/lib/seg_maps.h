/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps as the programs see them.
 *
 * The loader makes (or finds) every map itself, since bcc re-uses a pin of another layout without a
 * word, and hands the descriptors over as SEG_FD_<map>; bcc's own table macros are not used.
 * API: seg_map_lookup(), seg_map_create(), seg_sealed_find(), seg_port_find(); keys and values are the structs of segctl_abi.h.
 */
#ifndef SEG_MAPS_H
#define SEG_MAPS_H

#include "segctl_seal.h"
#include "segctl_worker.h"

#define SEG_INLINE static inline __attribute__((always_inline))

/* llvm.bpf.pseudo becomes the 16-byte load that the kernel resolves to the map of the fd. */
#define SEG_MAP(name) bpf_pseudo_fd(1, SEG_FD_##name)

#define seg_map_lookup(name, key) bpf_map_lookup_elem_(SEG_MAP(name), key)
#define seg_map_create(name, key, value) \
	bpf_map_update_elem_(SEG_MAP(name), key, value, BPF_NOEXIST)

/* No variable is used: the declaration makes clang write the layouts of the map into the programs' BTF, where the
 * kernel shows them and the tests compare them. bcc knows the section and the name. Of an array of maps: the maps in it. */
#define SEG_LAYOUT(name, key_type, value_type) \
	struct ____btf_map_##name { \
		key_type key; \
		value_type value; \
	} ____btf_map_##name __attribute__((section(".maps." #name), used))

SEG_LAYOUT(seg_ports, __u32, struct seg_port);
SEG_LAYOUT(seg_reinject, __u32, struct seg_reinject_port);
SEG_LAYOUT(seg_gens, __u32, __u64);
SEG_LAYOUT(seg_flows4, struct seg_flow_key4, struct seg_flow);
SEG_LAYOUT(seg_flows6, struct seg_flow_key6, struct seg_flow);
SEG_LAYOUT(seg_classes, struct seg_class_key, __u32);
SEG_LAYOUT(seg_services, struct seg_service_key, struct seg_service);
SEG_LAYOUT(seg_credits, __u32, __s64);
SEG_LAYOUT(seg_control, __u32, struct seg_control);
SEG_LAYOUT(seg_shares, __u32, struct seg_share);
SEG_LAYOUT(seg_addrs, struct seg_addr_key, __u8);
SEG_LAYOUT(seg_owners, struct seg_owner_key, struct seg_owner);
SEG_LAYOUT(seg_macs, struct seg_mac_key, struct seg_mac);
SEG_LAYOUT(seg_nets, struct seg_net_key, __u32);
SEG_LAYOUT(seg_queries, struct seg_query_key, struct seg_query);
SEG_LAYOUT(seg_names, struct seg_name_key, struct seg_name);
SEG_LAYOUT(seg_counters, struct seg_counter_key, struct seg_counter);
SEG_LAYOUT(seg_events, __u32, struct seg_event);
SEG_LAYOUT(seg_opens, __u32, struct seg_open_event);
SEG_LAYOUT(seg_closes, __u32, struct seg_close_event);

enum seg_found { SEG_FOUND_NONE, SEG_FOUND, SEG_FOUND_TORN };
enum seg_words { SEG_KEY_WORDS_MAX = 3, SEG_VALUE_WORDS_MAX = 4 };

/* Copies `words` words of 8 bytes of the element `shared`, which the seal follows. SEG_FOUND_TORN: the element was given
 * to another key, or is being written. */
SEG_INLINE int seg_sealed_read(const volatile __u64 *shared, const void *key, const __u32 key_bytes, void *value,
			       const __u32 words)
{
	const __u32 from = (key_bytes + 7) / 8;
	__u64 all[SEG_KEY_WORDS_MAX + SEG_VALUE_WORDS_MAX] = {};

	if (!shared)
		return SEG_FOUND_NONE;
	__builtin_memcpy(all, key, key_bytes);
#pragma unroll
	for (__u32 i = 0; i < words; i++)
		all[from + i] = shared[i];
	__builtin_memcpy(value, all + from, words * 8);
	return *(const volatile __u32 *)(shared + words) == seg_entry_seal(all, from + words) ? SEG_FOUND :
												 SEG_FOUND_TORN;
}

/* While an element is replaced, a look can read another key's, or stand on one that was just given away and so miss
 * the new one at the bucket's head: the second look finds it. */
#define seg_sealed_find(name, key, value) \
	({ \
		const __u32 words_ = __builtin_offsetof(__typeof__(*(value)), seal) / 8; \
		int found_ = seg_sealed_read(seg_map_lookup(name, key), key, sizeof(*(key)), value, words_); \
		if (found_ != SEG_FOUND) \
			found_ = seg_sealed_read(seg_map_lookup(name, key), key, sizeof(*(key)), value, words_); \
		found_; \
	})

/* Copies the interface's port as it was at one moment, without paced_ns. 0: it has none. */
SEG_INLINE int seg_port_find(__u32 ifindex, struct seg_port *port)
{
	return seg_sealed_find(seg_ports, &ifindex, port) == SEG_FOUND;
}

#endif
