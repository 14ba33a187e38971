/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Writes seg_classes. Versions, and which one is in force, are in seg_control. 0 or -errno. */
#ifndef SG_CLASSMAP_H
#define SG_CLASSMAP_H

#include "io/sg_flowmap.h"

int sg_classmap_put(const struct sg_flowmap *maps, const struct seg_class_key *key, __u32 class);
int sg_classmap_delete(const struct sg_flowmap *maps, const struct seg_class_key *key);
/* Return a number that no version has had; 0: there is no map. */
__u32 sg_classmap_new_version(const struct sg_flowmap *maps);
/* Let the programs read this version from now on; 0: none. */
void sg_classmap_use(const struct sg_flowmap *maps, __u32 version);
/* Delete the entries of every version that is not in force. */
void sg_classmap_sweep(const struct sg_flowmap *maps);

#endif
