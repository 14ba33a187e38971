/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges conditions; see the header. In: items, facts. Out: whether a condition holds. Pure. */
#include "condition/sg_condition.h"

#include <string.h>

#include "base/sg_bytes.h"

enum { HEAD = 3 };	/* of an item */

struct item {
	__u8 field;
	__u32 len;
	const __u8 *text;
};

static struct item read_item(const __u8 *at)
{
	return (struct item){ at[0], sg_get16(at + 1), at + HEAD };
}

static int is_text_valid(const struct item *item)
{
	if (item->field == SG_FIELD_PATH)
		return item->len && (item->text[0] == '=' || item->text[0] == '*');
	return item->len && (item->field != SG_FIELD_VERSION || item->len == 2);
}

int sg_condition_valid(const struct sg_node_condition *condition, const __u8 *texts, __u32 length)
{
	const __u8 *at = texts + condition->first;
	__u32 left = condition->bytes;
	__u8 field = 1;

	if (condition->first > length || left > length - condition->first || !left || !condition->key || condition->denies > 1)
		return 0;
	while (left) {
		struct item item;

		if (left < HEAD)
			return 0;
		item = read_item(at);
		if (item.field < field || item.field >= SG_FIELDS || item.len > left - HEAD || !is_text_valid(&item))
			return 0;
		field = item.field;
		at += HEAD + item.len;
		left -= HEAD + item.len;
	}
	return 1;
}

__u32 sg_condition_fields(const struct sg_node_condition *condition, const __u8 *texts)
{
	const __u8 *at = texts + condition->first, *end = at + condition->bytes;
	__u32 fields = 0;

	for (; at < end; at += HEAD + read_item(at).len)
		fields |= 1U << *at;
	return fields;
}

/* The items of one field: from `at` up to `end`. */
struct items {
	const __u8 *at;
	const __u8 *end;
	__u8 field;
};

static int has_protocol(const struct items *items, const __u8 *protocol, __u32 len)
{
	for (const __u8 *at = items->at; at < items->end;) {
		struct item item = read_item(at);

		if (item.len == len && !memcmp(item.text, protocol, len))
			return 1;
		at += HEAD + item.len;
	}
	return 0;
}

/* Which of the protocols offered will be spoken, an observer does not see: those that allow must name each. */
static int takes_alpn(const struct items *items, const struct sg_facts *facts, int denies)
{
	for (__u32 at = 0; at < facts->alpn_len; at += 1U + facts->alpn[at])
		if (has_protocol(items, &facts->alpn[at + 1], facts->alpn[at]) == denies)
			return denies;
	return facts->alpn_len && !denies;
}

static int takes_sni(const struct items *items, const struct sg_facts *facts)
{
	for (const __u8 *at = items->at; facts->sni_len && at < items->end;) {
		struct item item = read_item(at);

		if (sg_name_matches(item.text, item.len, facts->sni, facts->sni_len))
			return 1;
		at += HEAD + item.len;
	}
	return 0;
}

/* What shows no name, of TLS or of a request, goes to the address alone, which was learnt for a name. */
static int takes_name(const struct items *items, const struct sg_facts *facts)
{
	const __u8 *name = facts->sni_len ? facts->sni : (const __u8 *)facts->host.at;
	__u32 len = facts->sni_len ? facts->sni_len : facts->host.len;

	for (const __u8 *at = items->at; len && at < items->end;) {
		struct item item = read_item(at);

		if (sg_name_matches(item.text, item.len, name, len))
			return 1;
		at += HEAD + item.len;
	}
	return !len;
}

static int takes_method(const struct item *item, const struct sg_fact_text *method)
{
	static const char connect[] = "CONNECT";

	if (item->len == 1 && item->text[0] == '*')
		return method->len != sizeof(connect) - 1 || memcmp(method->at, connect, sizeof(connect) - 1);
	return item->len == method->len && !memcmp(item->text, method->at, item->len);
}

static int takes_path(const struct item *item, const struct sg_fact_text *path)
{
	__u32 len = item->len - 1;

	return (item->text[0] == '*' ? path->len >= len : path->len == len) && path->len &&
	       !memcmp(item->text + 1, path->at, len);
}

/* Whether an item takes what a request says. */
static int takes_request(const struct items *items, const struct sg_facts *facts)
{
	for (const __u8 *at = items->at; at < items->end;) {
		struct item item = read_item(at);
		int taken;

		if (items->field == SG_FIELD_METHOD)
			taken = takes_method(&item, &facts->method);
		else if (items->field == SG_FIELD_PATH)
			taken = takes_path(&item, &facts->path);
		else
			taken = facts->host.len &&
				sg_name_matches(item.text, item.len, (const __u8 *)facts->host.at, facts->host.len);
		if (taken)
			return 1;
		at += HEAD + item.len;
	}
	return 0;
}

static int takes(const struct items *items, const struct sg_facts *facts, int denies)
{
	switch (items->field) {
	case SG_FIELD_SNI:
		return takes_sni(items, facts);
	case SG_FIELD_ALPN:
		return takes_alpn(items, facts, denies);
	case SG_FIELD_NAME:
		return takes_name(items, facts);
	case SG_FIELD_VERSION:
		return facts->version >= sg_get16(items->at + HEAD);
	default:
		return takes_request(items, facts);
	}
}

/* Whether what comes may make the field hold. */
static int may_take(const struct items *items, const struct sg_facts *facts)
{
	if (!(facts->open >> items->field & 1))
		return 0;
	return items->field != SG_FIELD_VERSION || !facts->version_most ||
	       facts->version_most >= sg_get16(items->at + HEAD);
}

static enum sg_holds judge_field(const struct items *items, const struct sg_facts *facts, int denies)
{
	if (items->field == SG_FIELD_NAME && facts->any_name)
		return SG_HOLDS;
	if (facts->broken >> items->field & 1)
		return denies ? SG_HOLDS : SG_HOLDS_NOT;
	if (facts->known >> items->field & 1)
		return takes(items, facts, denies) ? SG_HOLDS : SG_HOLDS_NOT;
	return may_take(items, facts) ? SG_HOLDS_OPEN : SG_HOLDS_NOT;
}

enum sg_holds sg_condition_judge(const struct sg_node_condition *condition, const __u8 *texts, const struct sg_facts *facts)
{
	const __u8 *at = texts + condition->first, *end = at + condition->bytes;
	enum sg_holds all = SG_HOLDS, one;

	if (facts->held == condition->key)
		return SG_HOLDS;
	while (at < end && all != SG_HOLDS_NOT) {
		struct items items = { .at = at, .field = *at };

		while (at < end && *at == items.field)
			at += HEAD + read_item(at).len;
		items.end = at;
		one = judge_field(&items, facts, condition->denies);
		all = one < all ? one : all;
	}
	return all;
}
