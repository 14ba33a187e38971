/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The detectors by protocol. Each adds what it finds to *found, and returns whether bytes to come may show more. */
#ifndef SG_PAYLOAD_PROTOCOLS_H
#define SG_PAYLOAD_PROTOCOLS_H

#include "prefix/sg_prefix.h"

int sg_payload_tls(const struct sg_prefix *prefix, __u64 *found);
int sg_payload_ssl2(const struct sg_prefix *prefix, __u64 *found);
int sg_payload_ssh(const struct sg_prefix *prefix, __u64 *found);
int sg_payload_http(const struct sg_prefix *prefix, __u64 *found);

/* What of a DNS message a tunnel is told by. */
struct sg_dns_name {
	const __u8 *domain;	/* its last two labels, as they are in the message; NULL: none is asked for, or it is shorter */
	const __u8 *sub;	/* the labels before them */
	__u32 domain_len;
	__u32 sub_len;
};

/* Return the threats that a DNS message is; it has `len` bytes. Fills in *name for a query. */
__u64 sg_payload_dns(const __u8 *message, __u32 len, struct sg_dns_name *name);
/* Return whether the labels before the domain carry data: many bytes of many kinds. */
int sg_dns_name_is_data(const struct sg_dns_name *name);
/* The same of the messages of a connection, each after its length. */
int sg_payload_dns_stream(const struct sg_prefix *prefix, __u64 *found);

#endif
