/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads messages of DNS: what is asked, and which addresses an answer gives to the name. Pure: no allocation, no I/O, no
 * clock. Every loop is bounded by the message, and the names of one are read in time linear in it. */
#ifndef SG_DNS_H
#define SG_DNS_H

#include "dns/sg_dns_name.h"

enum sg_dns_limit {
	SG_DNS_CHAIN = 16,		/* names that an answer may lead through, the asked one among them */
	SG_DNS_RECORDS = 4096,		/* of an answer that are read */
	SG_DNS_HEAD = 12,
};

enum sg_dns_type { SG_DNS_A = 1, SG_DNS_CNAME = 5, SG_DNS_AAAA = 28, SG_DNS_SVCB = 64, SG_DNS_HTTPS = 65 };

/* A message's head and its one question. */
struct sg_dns_question {
	__u16 id;
	__u16 type;
	__u8 is_answer;
	__u8 is_cut;		/* TC: the whole answer comes over TCP */
	__u8 code;		/* 0: no error */
	__u8 length;
	__u8 name[SG_DNS_NAME];	/* as it came, without pointers */
	__u32 end;		/* of the question, from the message's first byte on */
};

/* The names that an answer leads through, the asked one first, lower case, each with a zero behind. What is no printable
 * character of a label is a `?`, which no name of a policy has. */
struct sg_dns_chain {
	__u32 count;
	__u32 ttl;			/* the least of the CNAMEs that lead there; ~0: there is none */
	__u32 left_out;			/* records and names beyond the limits */
	char names[SG_DNS_CHAIN][SG_DNS_TEXT];
};

struct sg_dns_address {
	__u32 ttl;
	__u8 is_ipv6;
	__u8 is_hint;		/* of an HTTPS or SVCB record */
	__u8 address[16];	/* IPv4 in the first four bytes */
};

/* Read the head and the question. Returns 0; -1: it is no query, and no answer to one, of one question. */
int sg_dns_read_question(const __u8 *message, __u32 length, struct sg_dns_question *question);
/* Return whether the answer's question is this one: with the same letters; where they are all small, in any case. */
int sg_dns_is_same(const struct sg_dns_question *asked, const struct sg_dns_question *answered);
/* Find the names that the answer leads through. Returns 0; -1: it cannot be read. What a cut answer breaks off is no fault. */
int sg_dns_follow(const __u8 *message, __u32 length, const struct sg_dns_question *question, struct sg_dns_chain *chain);
/* Tell each address that a name of the chain has, by a message that sg_dns_follow() has read. */
void sg_dns_addresses(const __u8 *message, __u32 length, const struct sg_dns_question *question,
		      const struct sg_dns_chain *chain, void (*tell)(void *context, const struct sg_dns_address *address),
		      void *context);

#endif
