/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The header of the PROXY protocol, versions 1 and 2, that a load balancer puts before the initiator's bytes. */
#ifndef SG_PROXY_H
#define SG_PROXY_H

#include "prefix/sg_prefix.h"

/* Return the length of the header; all there is of the initiator's bytes while they may still be a part of one. */
__u32 sg_proxy_length(const struct sg_prefix *prefix);

#endif
