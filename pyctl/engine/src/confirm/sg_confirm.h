/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Tells by its check digits whether what a pattern found is what it looks like. Pure: no allocation, no I/O. */
#ifndef SG_CONFIRM_H
#define SG_CONFIRM_H

#include "api/sg_sensors.h"

/* As many bytes as may tell: the longest IBAN with separators of three bytes, and what stands before it. */
enum sg_confirm_limit { SG_CONFIRM_BYTES = 64 };

/* Return whether the bytes end with such a number. They are what came up to the end of a pattern's match: the match alone,
 * or more before it, of which SG_CONFIRM_BYTES count. One byte behind the number that is no part of it is left out. */
int sg_confirm(enum sg_confirm kind, const __u8 *at, __u32 len);

#endif
