/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sessions whose payload waits until it is judged. */
#ifndef SG_HELD_H
#define SG_HELD_H

#include "flow/sg_state.h"

/* Return whether the packet passes whatever is said of it: it is a copy, or the mode only records. */
int sg_is_recorded(const struct sg_context *c);
/* Return whether payload must wait, and what is wrong with it is dropped. */
int sg_is_held(const struct sg_context *c, const struct sg_session *s);
/* Block a session at both ends. Returns the actions for it. */
__u8 sg_block_session(struct sg_session *s);

#endif
