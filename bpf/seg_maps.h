/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps as the programs see them.
 *
 * The loader makes (or finds) every map itself, since bcc re-uses a pin of another layout without a
 * word, and hands the descriptors over as SEG_FD_<map>; bcc's own table macros are not used.
 * API: seg_map_lookup(), seg_map_create(); keys and values are the structs of segctl_abi.h.
 */
#ifndef SEG_MAPS_H
#define SEG_MAPS_H

#include "segctl_abi.h"

#define SEG_INLINE static inline __attribute__((always_inline))

/* llvm.bpf.pseudo becomes the 16-byte load that the kernel resolves to the map behind the fd. */
#define SEG_MAP(name) bpf_pseudo_fd(1, SEG_FD_##name)

#define seg_map_lookup(name, key) bpf_map_lookup_elem_(SEG_MAP(name), key)
#define seg_map_create(name, key, value) \
	bpf_map_update_elem_(SEG_MAP(name), key, value, BPF_NOEXIST)

#endif
