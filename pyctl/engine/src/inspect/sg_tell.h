/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Tells what rules may ask of a flow besides its application. Pure: no allocation, no I/O. */
#ifndef SG_TELL_H
#define SG_TELL_H

#include "condition/sg_facts.h"
#include "prefix/sg_prefix.h"

/* Set all but `held` by what both sides have sent so far, of a flow that is this application for certain. */
void sg_tell(const struct sg_prefix *prefix, __u8 app, struct sg_facts *facts);

#endif
