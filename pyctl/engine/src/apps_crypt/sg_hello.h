/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A TLS ClientHello: whether it is one, through records of any size, and what it offers. */
#ifndef SG_HELLO_H
#define SG_HELLO_H

#include "prefix/sg_prefix.h"

struct sg_hello {
	__u8 offers_dot;	/* an ALPN of DNS over TLS */
};

/* CERTAIN: it is whole, and every length in it fits. GUESS: it begins like one. */
enum sg_match sg_hello_read(const __u8 *at, __u32 len, struct sg_hello *hello);

#endif
