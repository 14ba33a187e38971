/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A TLS ClientHello: whether it is one, through records of any size, and what it offers. */
#ifndef SG_HELLO_H
#define SG_HELLO_H

#include "condition/sg_facts.h"
#include "prefix/sg_prefix.h"

struct sg_hello {
	__u8 offers_dot;	/* an ALPN of DNS over TLS */
	__u8 shares;		/* another message begins in its last record */
	__u32 end;		/* where its last record ends */
	__u32 broken;		/* as in struct sg_facts */
	__u32 extensions;	/* of those that are read here: which were there, bits 1 << enum sg_field */
	__u16 version_most;
	__u16 alpn_len;
	__u8 sni_len;
	__u8 sni[SG_NAME_MAX];
	__u8 alpn[SG_FACTS_ALPN];
};

/* CERTAIN: it is whole, and every length in it fits. GUESS: it begins like one. */
enum sg_match sg_hello_read(const __u8 *at, __u32 len, struct sg_hello *hello);
/* Read one that lies in no records, as in QUIC. */
enum sg_match sg_hello_read_bare(const __u8 *at, __u32 len, struct sg_hello *hello);

#endif
