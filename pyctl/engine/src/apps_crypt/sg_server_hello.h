/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A TLS ServerHello: which version it chooses, or that it asks for another ClientHello. */
#ifndef SG_SERVER_HELLO_H
#define SG_SERVER_HELLO_H

#include "prefix/sg_prefix.h"

struct sg_server_hello {
	__u16 version;
	__u8 retries;		/* it is a HelloRetryRequest */
	__u32 end;		/* where its last record ends */
};

/* CERTAIN: it is whole. NO: the bytes begin with something else. */
enum sg_match sg_server_hello_read(const __u8 *at, __u32 len, struct sg_server_hello *hello);

#endif
