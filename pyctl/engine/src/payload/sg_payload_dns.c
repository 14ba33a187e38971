/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* DNS: names whose pointers have no end, questions for a zone or for type NULL, and names that carry data. What is no whole
 * message is none of these. In: a message. Out: threats. */
#include "base/sg_bytes.h"
#include "api/sg_threats.h"
#include "dns/sg_dns_name.h"
#include "payload/sg_payload_protocols.h"

enum {
	HEAD = 12, ANSWER = 0x80, POINTER = 0xc0, RECORDS_MAX = 256, RECORD_FIXED = 10,
	QTYPE_NULL = 10, QTYPE_IXFR = 251, QTYPE_AXFR = 252,
	DATA_BYTES = 32, DATA_KINDS = 14,	/* of a name that carries data, at least */
};

/* Split the name asked for, which has no pointer as the first of its message. */
static void split(const __u8 *message, __u32 pos, struct sg_dns_name *name)
{
	const __u8 *last = NULL, *before = NULL, *at = message + pos;

	for (; *at; at += 1 + *at) {
		if (*at >= POINTER)
			return;
		before = last;
		last = at;
	}
	if (!before || before == message + pos)
		return;
	name->sub = message + pos;
	name->sub_len = (__u32)(before - name->sub);
	name->domain = before;
	name->domain_len = (__u32)(at - before);
}

int sg_dns_name_is_data(const struct sg_dns_name *name)
{
	__u64 kinds[4] = { 0 };
	__u32 bytes = 0, count = 0;

	for (__u32 i = 0; i < name->sub_len; i += 1U + name->sub[i])
		for (__u32 j = 1; j <= name->sub[i] && i + j < name->sub_len; j++, bytes++)
			kinds[name->sub[i + j] / 64] |= 1ULL << name->sub[i + j] % 64;
	for (int i = 0; i < 4; i++)
		count += (__u32)__builtin_popcountll(kinds[i]);
	return bytes >= DATA_BYTES && count >= DATA_KINDS;
}

/* Return the threats of the records after the questions: loops in their names. */
static __u64 read_records(const __u8 *message, __u32 len, __u32 pos)
{
	__u32 records = (__u32)sg_get16(message + 6) + sg_get16(message + 8) + sg_get16(message + 10), made;
	__u8 owner[SG_DNS_NAME];

	for (__u32 i = 0; i < records && i < RECORDS_MAX; i++) {
		enum sg_dns_walk end = sg_dns_walk_name(message, len, &pos, owner, &made);

		if (end == SG_DNS_LOOPS)
			return 1ULL << SG_THREAT_DNS_LOOP;
		if (end == SG_DNS_BROKEN || len - pos < RECORD_FIXED)
			return 0;
		pos += RECORD_FIXED + (__u32)sg_get16(message + pos + 8);
		if (pos > len)
			return 0;
	}
	return 0;
}

__u64 sg_payload_dns(const __u8 *message, __u32 len, struct sg_dns_name *name)
{
	__u32 pos = HEAD, type, made;
	__u8 asked[SG_DNS_NAME];
	enum sg_dns_walk end;
	int is_query;

	*name = (struct sg_dns_name){ 0 };
	/* A standard query or its answer has one question. */
	if (len < HEAD || message[2] & 0x78 || sg_get16(message + 4) != 1)
		return 0;
	is_query = !(message[2] & ANSWER);
	end = sg_dns_walk_name(message, len, &pos, asked, &made);
	if (end == SG_DNS_LOOPS)
		return 1ULL << SG_THREAT_DNS_LOOP;
	if (end == SG_DNS_BROKEN || len - pos < 4)
		return 0;
	type = sg_get16(message + pos);
	if (is_query)
		split(message, HEAD, name);
	if (is_query && (type == QTYPE_AXFR || type == QTYPE_IXFR))
		return 1ULL << SG_THREAT_DNS_ZONE_TRANSFER;
	if (is_query && type == QTYPE_NULL)
		return 1ULL << SG_THREAT_DNS_NULL;
	return read_records(message, len, pos + 4);
}

int sg_payload_dns_stream(const struct sg_prefix *prefix, __u64 *found)
{
	struct sg_dns_name name;

	for (int side = 0; side < 2; side++) {
		const __u8 *at = prefix->data[side];
		__u32 left = prefix->len[side], length;

		for (; left >= 2; at += 2 + length, left -= 2 + length) {
			length = sg_get16(at);
			if (length > left - 2)
				break;
			*found |= sg_payload_dns(at + 2, length, &name);
		}
	}
	return 1;
}
