/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* DNS names as text, and patterns of them. Pure. */
#ifndef SG_NAME_H
#define SG_NAME_H

#include "segctl_abi.h"

enum sg_name_limit { SG_NAME_MAX = 253, SG_LABEL_MAX = 63 };

/* Write the name in lower case, without a dot at its end; `out` has room for SG_NAME_MAX. Returns its length; 0: it is no
 * name of letters, digits, hyphens and underscores in labels of 1 to 63. */
__u32 sg_name_read(const __u8 *text, __u32 len, __u8 *out);
/* Return whether the pattern takes the name; both as sg_name_read() writes them. "*." and a name takes each name that has
 * one or more labels before that one, and not that one itself. */
int sg_name_matches(const __u8 *pattern, __u32 pattern_len, const __u8 *name, __u32 len);

#endif
