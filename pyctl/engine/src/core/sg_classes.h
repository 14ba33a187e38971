/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Keeps the programs' classes as they are; those of a whole policy are written through api/sg_core.h. */
#ifndef SG_CLASSES_H
#define SG_CLASSES_H

#include "flow/sg_state.h"

/* Let programs read this version, of the policy in force; 0: none, and they ask the core. */
void sg_classes_use(struct sg_core *core, __u32 version);

#endif
