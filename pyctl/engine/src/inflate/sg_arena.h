/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Memory of a fixed size, of which a library takes pieces: it can have no more than this, and all is given back at once. */
#ifndef SG_ARENA_H
#define SG_ARENA_H

#include "segctl_abi.h"

struct sg_arena {
	__u8 *at;		/* aligned to 16 bytes */
	__u32 size;
	__u32 used;		/* up to where pieces were taken so far */
	__u8 failed;		/* a piece was asked for that there was no room for */
};

/* Begin with memory of this size, whatever is in it. */
void sg_arena_init(struct sg_arena *arena, void *at, __u32 size);
/* NULL: no room. */
void *sg_arena_take(struct sg_arena *arena, __u64 size);
void sg_arena_give(struct sg_arena *arena, void *piece);

#endif
