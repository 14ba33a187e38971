/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Keeps the programs' class of addresses that a port knows by a name in a group: they have none, and are asked about. */
#ifndef SG_LEARN_CLASS_H
#define SG_LEARN_CLASS_H

#include "flow/sg_state.h"

/* Write the address's class as it is now, or delete its entry; where that is refused, programs ask for all. */
void sg_learn_class(struct sg_core *core, __u8 family, const __u8 *address);
/* Count an address's names that are in a group, one more or one less, and keep its class. */
void sg_learn_mark(struct sg_core *core, const struct sg_named_key *key, int change);
/* After the node's policy changed: count all anew, by its groups. */
void sg_learn_regroup(struct sg_core *core);
/* Write the class of all such addresses under a version that programs do not read yet. Returns 0, or an error. */
int sg_learn_classes_write(struct sg_core *core, __u32 version);
/* Let programs read this version; 0: none, and they ask the core. */
void sg_learn_classes_use(struct sg_core *core, __u32 version);

#endif
