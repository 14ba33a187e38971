/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Classes: each set of groups that somebody is in has one number. Two ends of equal classes are
 * judged alike, whatever their addresses. */
#ifndef SG_CLASS_H
#define SG_CLASS_H

#include "base/sg_map.h"

/* Groups in all classes together, 64 MiB: nested networks make classes of thousands of groups each, and building them must
 * not delay callers of the engine for long. */
enum { SG_CLASS_GROUPS_MAX = 16 << 20 };

enum sg_class_known { SG_CLASS_NONE = 0, SG_CLASS_ANY = 1 /* in group 0 alone */ };

struct sg_class {
	__u32 *groups;		/* ascending, the first is 0 */
	__u32 count;
};

struct sg_classes {
	struct sg_hash_key hash_key;
	struct sg_map by_set;
	struct sg_map unions;
	struct sg_class *all;	/* [0] is unused */
	__u32 count;
	__u32 room;
	__u64 groups;		/* in all of them */
};

int sg_classes_init(struct sg_classes *classes, const struct sg_hash_key *hash_key);
void sg_classes_free(struct sg_classes *classes);
/* Return the class of these groups (in any order, 0 or not); SG_CLASS_NONE: no memory, or too many. */
__u32 sg_class_of(struct sg_classes *classes, const __u32 *groups, __u32 count);
/* Return the class of both sets of groups together; SG_CLASS_NONE: no memory, or too many. */
__u32 sg_class_union(struct sg_classes *classes, __u32 one, __u32 other);

#endif
