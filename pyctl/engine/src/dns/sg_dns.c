/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Messages of DNS; see the header. In: a message's bytes. Out: its question, names, addresses. */
#include "dns/sg_dns.h"

#include "base/sg_bytes.h"

enum {
	ANSWER = 0x8000, KIND = 0x7800, CUT = 0x0200, CODE = 0x000f,
	INTERNET = 1,
	RECORD = 10,			/* bytes of a record between its name and its data */
	IPV4_HINT = 4, IPV6_HINT = 6,
	ROUNDS = 4,			/* servers tell CNAMEs in their order; others are found in as many steps */
	LONG_TTL = 7 * 86400,
};

struct record {
	__u32 owner;			/* where its name is */
	__u32 type;
	__u32 class;
	__u32 ttl;
	__u32 data;
	__u32 length;
};

/* The records of a message, one after the other. */
struct walk {
	const __u8 *message;
	const struct sg_dns_chain *chain;
	__u32 length;
	__u32 at;
	__u32 left;			/* records that are not read yet */
	__u32 skipped;			/* of a section that teaches nothing, before the last one */
	__u32 last;			/* of the last section that is read, after these */
	__u32 pointer;			/* the last owner that was a pointer, and whose it is */
	int owner;
};

int sg_dns_read_question(const __u8 *message, __u32 length, struct sg_dns_question *question)
{
	__u32 at = SG_DNS_HEAD, flags;

	if (length < SG_DNS_HEAD)
		return -1;
	flags = sg_get16(message + 2);
	question->id = sg_get16(message);
	question->is_answer = !!(flags & ANSWER);
	question->is_cut = !!(flags & CUT);
	question->code = flags & CODE;
	if (flags & KIND || sg_get16(message + 4) != 1)
		return -1;
	question->length = (__u8)sg_dns_read_name(message, length, &at, question->name);
	if (!question->length || length - at < 4 || sg_get16(message + at + 2) != INTERNET)
		return -1;
	question->type = sg_get16(message + at);
	question->end = at + 4;
	return 0;
}

static __u8 small(__u8 c)
{
	return c >= 'A' && c <= 'Z' ? (__u8)(c + 'a' - 'A') : c;
}

/* A length is no letter. */
static int same_name(const __u8 *one, const __u8 *other, __u32 length)
{
	for (__u32 i = 0; i < length; i++)
		if (small(one[i]) != small(other[i]))
			return 0;
	return 1;
}

static int has_capitals(const struct sg_dns_question *question)
{
	for (__u32 i = 0; i < question->length; i++)
		if (question->name[i] != small(question->name[i]))
			return 1;
	return 0;
}

int sg_dns_is_same(const struct sg_dns_question *asked, const struct sg_dns_question *answered)
{
	if (asked->id != answered->id || asked->type != answered->type || asked->length != answered->length)
		return 0;
	return has_capitals(asked) ? !memcmp(asked->name, answered->name, asked->length) :
				     same_name(asked->name, answered->name, asked->length);
}

static int is_service(__u32 type)
{
	return type == SG_DNS_SVCB || type == SG_DNS_HTTPS;
}

/* The answers; of a service, what is added too, behind the authorities. */
static struct walk walk_of(const __u8 *message, __u32 length, const struct sg_dns_question *question,
			   const struct sg_dns_chain *chain)
{
	struct walk walk = {
		.message = message, .length = length, .at = question->end, .left = sg_get16(message + 6), .chain = chain,
	};

	if (is_service(question->type)) {
		walk.skipped = sg_get16(message + 8);
		walk.last = sg_get16(message + 10);
	}
	return walk;
}

/* Returns 1, 0 behind the last one, or -1. */
static int read_record(struct walk *walk, struct record *record)
{
	*record = (struct record){ .owner = walk->at };
	if (sg_dns_skip_name(walk->message, walk->length, &walk->at) || walk->length - walk->at < RECORD)
		return -1;
	record->type = sg_get16(walk->message + walk->at);
	record->class = sg_get16(walk->message + walk->at + 2);
	record->ttl = sg_get32(walk->message + walk->at + 4);
	record->length = sg_get16(walk->message + walk->at + 8);
	record->data = walk->at + RECORD;
	if (record->length > walk->length - record->data)
		return -1;
	walk->at = record->data + record->length;
	/* RFC 2181: one that looks negative is none. */
	if (record->ttl > 0x7fffffff)
		record->ttl = 0;
	record->ttl = record->ttl < LONG_TTL ? record->ttl : LONG_TTL;
	return 1;
}

static int next(struct walk *walk, struct record *record)
{
	if (walk->left) {
		walk->left--;
		return read_record(walk, record);
	}
	for (; walk->skipped; walk->skipped--)
		if (read_record(walk, record) < 0)
			return -1;
	if (!walk->last)
		return 0;
	walk->last--;
	return read_record(walk, record);
}

static int find_in_chain(const struct sg_dns_chain *chain, const char *text)
{
	for (__u32 i = 0; i < chain->count; i++)
		if (!strcmp(chain->names[i], text))
			return (int)i;
	return -1;
}

/* Whether the record's owner is in the chain. Most have the same pointer as the one before. */
static int concerns(struct walk *walk, const struct record *record)
{
	__u32 at = record->owner, pointer = sg_get16(walk->message + at);
	__u8 name[SG_DNS_NAME];
	char text[SG_DNS_TEXT];

	if (record->class != INTERNET)
		return 0;
	if (pointer == walk->pointer && walk->owner > 0)
		return 1;
	if (!sg_dns_read_name(walk->message, walk->length, &at, name))
		return 0;
	sg_dns_name_text(name, text);
	if (find_in_chain(walk->chain, text) < 0)
		return 0;
	if (pointer >= 0xc000) {
		walk->pointer = pointer;
		walk->owner = 1;
	}
	return 1;
}

/* Where the record leads: the place of another name in its data; 0: nowhere. */
static __u32 target_of(const struct walk *walk, const struct record *record)
{
	if (record->type == SG_DNS_CNAME)
		return record->data;
	/* A dot there means the owner. */
	if (is_service(record->type) && record->length > 2 && walk->message[record->data + 2])
		return record->data + 2;
	return 0;
}

/* Adds the name. Returns 1: it is new; 0: it is there, or there is no room; -1: it is none. */
static int lead_to(const struct walk *walk, __u32 at, __u32 ttl, struct sg_dns_chain *chain)
{
	__u8 name[SG_DNS_NAME];
	char text[SG_DNS_TEXT];

	if (!sg_dns_read_name(walk->message, walk->length, &at, name))
		return -1;
	sg_dns_name_text(name, text);
	if (find_in_chain(chain, text) >= 0)
		return 0;
	if (chain->count == SG_DNS_CHAIN) {
		chain->left_out++;
		return 0;
	}
	memcpy(chain->names[chain->count++], text, sizeof(text));
	if (ttl < chain->ttl)
		chain->ttl = ttl;
	return 1;
}

/* One look at all records. Returns how many names are new, or -1. */
static int follow_once(const __u8 *message, __u32 length, const struct sg_dns_question *question,
		       struct sg_dns_chain *chain)
{
	struct walk walk = walk_of(message, length, question, chain);
	int found = 0, more, added;
	struct record record;

	for (__u32 i = 0; (more = next(&walk, &record)) > 0; i++) {
		__u32 target = target_of(&walk, &record);

		if (i == SG_DNS_RECORDS) {
			chain->left_out++;
			return found;
		}
		if (!target || !concerns(&walk, &record))
			continue;
		added = lead_to(&walk, target, record.ttl, chain);
		if (added < 0)
			return -1;
		found += added;
	}
	return more < 0 && !question->is_cut ? -1 : found;
}

int sg_dns_follow(const __u8 *message, __u32 length, const struct sg_dns_question *question, struct sg_dns_chain *chain)
{
	int found = 1;

	chain->count = 1;
	chain->ttl = ~0U;
	chain->left_out = 0;
	sg_dns_name_text(question->name, chain->names[0]);
	for (int i = 0; i < ROUNDS && found > 0; i++)
		found = follow_once(message, length, question, chain);
	return found < 0 ? -1 : 0;
}

struct telling {
	void (*tell)(void *context, const struct sg_dns_address *address);
	void *context;
	__u32 ttl;
};

/* Tells the addresses of these bytes. */
static void tell(const struct telling *telling, const __u8 *bytes, __u32 length, __u32 size, int is_hint)
{
	struct sg_dns_address address = {
		.ttl = telling->ttl, .is_ipv6 = size == 16, .is_hint = (__u8)is_hint,
	};

	for (; length >= size; bytes += size, length -= size) {
		memcpy(address.address, bytes, size);
		telling->tell(telling->context, &address);
	}
}

static void tell_hints(const struct telling *telling, const struct walk *walk, const struct record *record)
{
	__u32 at = record->data + 2, end = record->data + record->length;

	if (record->length < 3 || sg_dns_skip_name(walk->message, end, &at))
		return;
	while (end - at >= 4) {
		__u32 key = sg_get16(walk->message + at), length = sg_get16(walk->message + at + 2);

		at += 4;
		if (length > end - at)
			return;
		if (key == IPV4_HINT || key == IPV6_HINT)
			tell(telling, walk->message + at, length, key == IPV4_HINT ? 4 : 16, 1);
		at += length;
	}
}

void sg_dns_addresses(const __u8 *message, __u32 length, const struct sg_dns_question *question,
		      const struct sg_dns_chain *chain, void (*told)(void *context, const struct sg_dns_address *address),
		      void *context)
{
	struct walk walk = walk_of(message, length, question, chain);
	struct telling telling = { .tell = told, .context = context };
	struct record record;

	for (__u32 i = 0; i < SG_DNS_RECORDS && next(&walk, &record) > 0; i++) {
		int size = record.type == SG_DNS_A ? 4 : record.type == SG_DNS_AAAA ? 16 : 0;

		if (!size && !is_service(record.type))
			continue;
		if ((size && record.length != (__u32)size) || !concerns(&walk, &record))
			continue;
		telling.ttl = record.ttl < chain->ttl ? record.ttl : chain->ttl;
		if (size)
			tell(&telling, message + record.data, record.length, (__u32)size, 0);
		else
			tell_hints(&telling, &walk, &record);
	}
}
