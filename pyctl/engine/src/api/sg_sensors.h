/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sensors: patterns that are looked for in payload, and what a port does where one matches. */
#ifndef SG_SENSORS_H
#define SG_SENSORS_H

#include "segctl_abi.h"

/* What a pattern is looked for in. pyctl/model/sensors has the same order. */
enum sg_part {
	SG_PART_URL = 0,	/* a request's target */
	SG_PART_HEADER = 1,	/* its header lines */
	SG_PART_BODY = 2,	/* bodies of requests, and of answers */
	SG_PART_PACKET = 3,	/* all bytes of a connection, and datagrams */
	SG_PARTS = 4,
};

/* A second look at what matched; what it does not confirm is no hit. */
enum sg_confirm {
	SG_CONFIRM_NONE = 0,
	SG_CONFIRM_PCRE2 = 1,	/* the pattern itself, as PCRE2 matches it */
	SG_CONFIRM_CARD = 2,	/* payment card: an issuer's range, its lengths, Luhn's check */
	SG_CONFIRM_IBAN = 3,	/* a country's form, and mod 97 (ISO 13616) */
	SG_CONFIRM_US_SSN = 4,	/* United States: parts that were never given out are none */
	SG_CONFIRM_ES_DNI = 5,	/* Spain: the letter of a DNI or NIE */
	SG_CONFIRM_BR_CPF = 6,	/* Brazil: both check digits */
};

enum sg_sensor_limit {
	SG_SENSORS_MAX = 64,	/* of a node: a set of them is a __u64 of bits 1 << index */
	SG_PATTERNS_MAX = 2000,
	SG_SENSOR_TAIL = 512,	/* bytes that are kept of what was scanned: no longer match can be confirmed */
	SG_SENSOR_NAME = 68,	/* room for SENSOR/PATTERN, 32 characters each */
};

/* What a port does at hits: each set is a part of the one before. */
struct sg_sensor_settings {
	__u64 on;		/* it is looked for, and told */
	__u64 drop;		/* where the mode enforces, the flow ends before the last byte of the match passes */
	__u64 reset;		/* and both ends are answered */
};
SEG_ABI_SIZE(sg_sensor_settings, 24);

/* A node's sensors as a block of bytes: this head, then its patterns, texts, and a database of each part, as Vectorscan
 * serialises it. Each of them is filled up to a multiple of 4 bytes. */
struct sg_sensor_head {
	__u32 key[2];		/* a hash of what they look for: streams go on under sensors with the same */
	__u32 patterns;
	__u32 texts;		/* bytes */
	__u32 databases[SG_PARTS];	/* bytes of each; 0: no pattern is looked for in it */
};
SEG_ABI_SIZE(sg_sensor_head, 32);

/* A pattern; its number in the databases is its index. */
struct sg_pattern {
	__u32 regex;		/* of SG_CONFIRM_PCRE2: where its text begins */
	__u32 regex_len;
	__u8 sensor;		/* index */
	__u8 part;		/* enum sg_part */
	__u8 severity;		/* 0 info … 4 critical */
	__u8 confirm;		/* enum sg_confirm */
	__u8 show;		/* events tell what matched */
	__u8 pad[3];
	char name[SG_SENSOR_NAME];	/* SENSOR/PATTERN; zeros after it */
};
SEG_ABI_SIZE(sg_pattern, 84);

#endif
