/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Conditions: what a rule asks of a flow besides its application. */
#ifndef SG_CONDITIONS_H
#define SG_CONDITIONS_H

#include "segctl_abi.h"

/* A condition holds if of each field that it has an item of, one item at least does. */
enum sg_field {
	SG_FIELD_SNI = 1,	/* a name, in lower case, or "*." and a name: one or more labels before it */
	SG_FIELD_ALPN = 2,	/* a protocol. A rule that denies asks for one of those offered; else each must be an item */
	SG_FIELD_VERSION = 3,	/* two bytes, network order: the lowest version of TLS */
	/* Of each request of HTTP: */
	SG_FIELD_METHOD = 4,	/* a method, or "*": any but CONNECT */
	SG_FIELD_HOST = 5,	/* as a name of SNI, or an address in brackets */
	SG_FIELD_PATH = 6,	/* "=" and a path as sg_http_path() writes it, or "*" and what it begins with */
	/* Of whatever flow: */
	SG_FIELD_NAME = 7,	/* as a name of SNI: the name in TLS or QUIC, or the host of a request. What shows none holds */
	SG_FIELDS,
};

/* Ascending by key. The items lie in the block's texts, ascending by field: each is the field (one byte), the length of its text (two bytes,
 * network order), and the text. */
struct sg_node_condition {
	__u64 key;		/* hash of the meaning: flows that it held for know it by this under the next policy; not 0 */
	__u32 first;		/* where in the texts its items begin */
	__u32 bytes;
	__u8 denies;		/* of a rule that denies: what is ambiguous holds */
	__u8 pad[7];
};
SEG_ABI_SIZE(sg_node_condition, 24);

enum sg_field_set {
	SG_FIELDS_HTTP = 1 << SG_FIELD_METHOD | 1 << SG_FIELD_HOST | 1 << SG_FIELD_PATH | 1 << SG_FIELD_NAME,
};

#endif
