/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the beginning of a TLS connection tells: name, protocols, version. Pure. */
#ifndef SG_TLS_FACTS_H
#define SG_TLS_FACTS_H

#include "condition/sg_facts.h"
#include "prefix/sg_prefix.h"

/* Set all but `held`. A server that asks for another ClientHello gets one, which counts in place of the first, and must be for
 * the same name. */
void sg_tls_facts(const struct sg_prefix *prefix, struct sg_facts *facts);

/* Set what the handshake of QUIC tells: the client's bytes in order, as far as they are there. Its version is TLS 1.3. */
void sg_tls_facts_bare(const __u8 *at, __u32 len, struct sg_facts *facts);

#endif
