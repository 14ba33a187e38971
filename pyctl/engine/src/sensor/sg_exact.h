/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* PCRE2's second look at what a pattern matched, with limits on its work. The library is loaded when the first pattern asks
 * for it. */
#ifndef SG_EXACT_H
#define SG_EXACT_H

#include "segctl_abi.h"

enum sg_exact_limit {
	SG_EXACT_MATCHES = 10000,	/* steps of one match: a tenth of a millisecond or so */
	SG_EXACT_DEPTH = 200,
	SG_EXACT_HEAP = 64,		/* KiB */
};

/* 0 and *out; -ENOPKG: the library is not there; -EINVAL: it does not take the pattern; -ENOMEM. */
int sg_exact_compile(const __u8 *regex, __u32 length, void **out);
void sg_exact_free(void *exact);
/* Return 1: it matches in these bytes; 0: it does not; -1: its limits do not let it say. */
int sg_exact_matches(const void *exact, const __u8 *bytes, __u32 length);

#endif
