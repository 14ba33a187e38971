/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Tells by a server's first bytes whether it is one of the application that its client's bytes are proof of. */
#ifndef SG_ANSWERS_H
#define SG_ANSWERS_H

#include "prefix/sg_prefix.h"

/* Say whether a connection's answer fits the application; CERTAIN too where its recogniser has read the server's bytes. */
enum sg_match sg_answer_fits(__u8 app, const __u8 *at, __u32 len);

#endif
