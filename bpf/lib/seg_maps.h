/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps as the programs see them.
 *
 * The loader makes (or finds) every map itself, since bcc re-uses a pin of another layout without a
 * word, and hands the descriptors over as SEG_FD_<map>; bcc's own table macros are not used.
 * API: seg_map_lookup(), seg_map_create(), seg_port_find(); keys and values are the structs of segctl_abi.h.
 */
#ifndef SEG_MAPS_H
#define SEG_MAPS_H

#include "segctl_seal.h"

#define SEG_INLINE static inline __attribute__((always_inline))

/* llvm.bpf.pseudo becomes the 16-byte load that the kernel resolves to the map of the fd. */
#define SEG_MAP(name) bpf_pseudo_fd(1, SEG_FD_##name)

#define seg_map_lookup(name, key) bpf_map_lookup_elem_(SEG_MAP(name), key)
#define seg_map_create(name, key, value) \
	bpf_map_update_elem_(SEG_MAP(name), key, value, BPF_NOEXIST)

/* No variable is used: the declaration makes clang write the layouts of the map into the programs' BTF, where the
 * kernel shows them and the tests compare them. bcc knows the section and the name. */
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
SEG_LAYOUT(seg_control, __u32, struct seg_control);
SEG_LAYOUT(seg_shares, __u32, struct seg_share);
SEG_LAYOUT(seg_addrs, struct seg_addr_key, __u8);
SEG_LAYOUT(seg_owners, struct seg_owner_key, struct seg_owner);
SEG_LAYOUT(seg_macs, struct seg_mac_key, struct seg_mac);
SEG_LAYOUT(seg_nets, struct seg_net_key, __u32);
SEG_LAYOUT(seg_counters, struct seg_counter_key, struct seg_counter);
SEG_LAYOUT(seg_events, __u32, struct seg_event);
SEG_LAYOUT(seg_closes, __u32, struct seg_close_event);

enum { SEG_PORT_WORDS = __builtin_offsetof(struct seg_port, seal) / 8 };

SEG_INLINE int seg_port_read(__u32 ifindex, struct seg_port *port)
{
	const volatile struct seg_port *shared = seg_map_lookup(seg_ports, &ifindex);
	const volatile __u64 *at = (const volatile __u64 *)shared;
	__u64 words[1 + SEG_PORT_WORDS] = { ifindex };
	__u32 seal;

	if (!shared)
		return 0;
#pragma unroll
	for (int i = 0; i < SEG_PORT_WORDS; i++)
		words[1 + i] = at[i];
	seal = shared->seal;
	__builtin_memcpy(port, words + 1, SEG_PORT_WORDS * 8);
	return seal == seg_entry_seal(words, 1 + SEG_PORT_WORDS);
}

/* Copies the interface's port as it was at one moment, without paced_ns. 0: it has none. The second try finds the new
 * element where the first was being replaced. */
SEG_INLINE int seg_port_find(__u32 ifindex, struct seg_port *port)
{
	return seg_port_read(ifindex, port) || seg_port_read(ifindex, port);
}

#endif
