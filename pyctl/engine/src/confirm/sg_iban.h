/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Account numbers by ISO 13616. Pure. */
#ifndef SG_IBAN_H
#define SG_IBAN_H

#include "segctl_abi.h"

enum sg_iban_limit { SG_IBAN_MIN = 15, SG_IBAN_MAX = 33 };

/* Return whether these letters, which are capitals, and digits are an account's number. */
int sg_iban(const char *text, __u32 len);

#endif
