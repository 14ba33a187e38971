/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Detectors of threats in payload: in the first bytes of a connection, and in a DNS message. Each protocol is a file of its own;
 * the table is sg_payload_threats.c. Pure: no state, no allocation, no I/O. */
#ifndef SG_PAYLOAD_THREATS_H
#define SG_PAYLOAD_THREATS_H

#include "payload/sg_payload_protocols.h"

/* Return the threats that the first bytes of a connection are. `app`: enum sg_app, as far as it is known. *more: bytes to come
 * may show others. What is found of some bytes is found of any more bytes that begin with them. */
__u64 sg_payload_threats(const struct sg_prefix *prefix, __u8 app, int *more);

#endif
