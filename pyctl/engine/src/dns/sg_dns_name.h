/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Names in messages of DNS. Pure. */
#ifndef SG_DNS_NAME_H
#define SG_DNS_NAME_H

#include "segctl_abi.h"

enum sg_dns_name_limit {
	SG_DNS_NAME = 255,		/* bytes of a name, with its lengths and the last zero */
	SG_DNS_TEXT = 254,		/* of a name as text, with a zero */
	SG_DNS_HOPS = 63,		/* pointers of a name: servers make one, and each costs a reader time */
};

enum sg_dns_walk {
	SG_DNS_WHOLE,
	SG_DNS_BROKEN,			/* it ends too soon, is too long, or has a label that is none */
	SG_DNS_LOOPS,			/* a pointer does not lead back, further than the one before, or there are too many */
};

/* Walk over the name at *at; *at is then behind it. `name` has SG_DNS_NAME places, of which *made are filled. */
enum sg_dns_walk sg_dns_walk_name(const __u8 *message, __u32 length, __u32 *at, __u8 *name, __u32 *made);
/* Read the name at *at; *at is then behind it. Returns its length; 0: it is none. `name` has SG_DNS_NAME places. */
__u32 sg_dns_read_name(const __u8 *message, __u32 length, __u32 *at, __u8 *name);
/* Skip the name at *at, without following its pointer. Returns 0 or -1. */
int sg_dns_skip_name(const __u8 *message, __u32 length, __u32 *at);
/* Write a name that was read as text: lower case, no dot at the end, a zero behind. `text` has SG_DNS_TEXT places. */
void sg_dns_name_text(const __u8 *name, char *text);

#endif
