/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges conditions by facts. Pure. */
#ifndef SG_CONDITION_H
#define SG_CONDITION_H

#include "condition/sg_facts.h"

enum sg_holds {
	SG_HOLDS_NOT = 0,
	SG_HOLDS_OPEN,		/* what comes tells it */
	SG_HOLDS,
};

/* Return whether the items of the condition are as api/sg_conditions.h says, within `length` bytes of texts. */
int sg_condition_valid(const struct sg_node_condition *condition, const __u8 *texts, __u32 length);
/* Return the fields that a valid condition asks for, bits 1 << enum sg_field. */
__u32 sg_condition_fields(const struct sg_node_condition *condition, const __u8 *texts);
/* Judge a valid condition. */
enum sg_holds sg_condition_judge(const struct sg_node_condition *condition, const __u8 *texts, const struct sg_facts *facts);

#endif
