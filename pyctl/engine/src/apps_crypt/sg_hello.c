/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads a ClientHello (RFC 8446, 5246; SSL 2's form of it in RFC 5246 E.2). In: bytes. Out: a match, what it offers. Pure. */
#include "apps_crypt/sg_hello.h"

#include <stddef.h>
#include <string.h>

#include "apps_crypt/sg_records.h"
#include "base/sg_bytes.h"

#define CLIENT_HELLO 1
#define HELLO_MIN 38U
#define HELLO_MAX 65536U
#define EXTENSION_SNI 0
#define EXTENSION_ALPN 16
#define EXTENSION_VERSIONS 43
#define TLS_1_2 0x0303U
#define TLS_1_3 0x0304U
#define DRAFT_1_3 0x7fU		/* and a draft's number */

typedef struct sg_message_reader reader;

/* Whether the two bytes stand for nothing (RFC 8701). */
static int is_grease(const __u8 *at)
{
	return at[0] == at[1] && (at[0] & 0x0f) == 0x0a;
}

static void add_protocol(struct sg_hello *hello, const __u8 *name, __u32 length)
{
	if (length == 2 && is_grease(name))
		return;
	if (hello->alpn_len + 1 + length > SG_FACTS_ALPN) {
		hello->broken |= 1U << SG_FIELD_ALPN;
		return;
	}
	hello->alpn[hello->alpn_len] = (__u8)length;
	memcpy(&hello->alpn[hello->alpn_len + 1], name, length);
	hello->alpn_len = (__u16)(hello->alpn_len + 1 + length);
}

static void read_alpn(reader *r, __u32 size, struct sg_hello *hello)
{
	__u32 behind = r->left - size;

	sg_message_need(r, sg_message_number16(r) + 2 == size);
	while (r->match == SG_MATCH_CERTAIN && r->left > behind) {
		__u32 length = sg_message_number8(r);
		const __u8 *name;

		sg_message_need(r, length && length <= r->left - behind);
		name = sg_message_take(r, length);
		if (!name)
			return;
		if (length == 3 && !memcmp(name, "dot", 3))
			hello->offers_dot = 1;
		add_protocol(hello, name, length);
	}
}

/* A list of one host name. */
static void read_sni(const __u8 *at, __u32 size, struct sg_hello *hello)
{
	if (size > 5 && sg_get16(at) + 2U == size && !at[2] && sg_get16(at + 3) + 5U == size)
		hello->sni_len = (__u8)sg_name_read(at + 5, size - 5, hello->sni);
	if (!hello->sni_len)
		hello->broken |= 1U << SG_FIELD_SNI;
}

static void read_versions(const __u8 *at, __u32 size, struct sg_hello *hello)
{
	hello->version_most = 0;
	if (!size || at[0] + 1U != size || !(size & 1)) {
		hello->broken |= 1U << SG_FIELD_VERSION;
		return;
	}
	for (__u32 i = 1; i + 1 < size; i += 2) {
		__u32 version = at[i] == DRAFT_1_3 ? TLS_1_3 : sg_get16(at + i);

		if (!is_grease(at + i) && version <= TLS_1_3 && version > hello->version_most)
			hello->version_most = (__u16)version;
	}
}

static enum sg_field field_of(__u32 type)
{
	return type == EXTENSION_SNI ? SG_FIELD_SNI : type == EXTENSION_ALPN ? SG_FIELD_ALPN :
	       type == EXTENSION_VERSIONS ? SG_FIELD_VERSION : SG_FIELDS;
}

static void read_extension(reader *r, __u32 type, __u32 size, struct sg_hello *hello)
{
	enum sg_field field = field_of(type);
	const __u8 *at;

	/* Which of two counts is the receiver's choice. */
	if (field < SG_FIELDS && hello->extensions >> field & 1)
		hello->broken |= 1U << field;
	hello->extensions |= 1U << field;
	if (field == SG_FIELD_ALPN) {
		read_alpn(r, size, hello);
		return;
	}
	at = sg_message_take(r, size);
	if (at && field == SG_FIELD_SNI)
		read_sni(at, size, hello);
	else if (at && field == SG_FIELD_VERSION)
		read_versions(at, size, hello);
}

static void read_extensions(reader *r, struct sg_hello *hello)
{
	__u32 all;

	if (!r->left)
		return;
	all = sg_message_number16(r);
	sg_message_need(r, all == r->left);
	while (r->match == SG_MATCH_CERTAIN && r->left) {
		__u32 type = sg_message_number16(r), size = sg_message_number16(r);

		sg_message_need(r, size <= r->left);
		if (r->match == SG_MATCH_CERTAIN)
			read_extension(r, type, size, hello);
	}
}

/* Version, random, session, ciphers, compressions, extensions. */
static void read_body(reader *r, struct sg_hello *hello)
{
	__u32 size = sg_message_number16(r);

	hello->version_most = (__u16)(size < TLS_1_2 ? size : TLS_1_2);
	sg_message_take(r, 32);
	size = sg_message_number8(r);
	sg_message_need(r, size <= 32);
	sg_message_take(r, size);
	size = sg_message_number16(r);
	sg_message_need(r, size && !(size & 1));
	sg_message_take(r, size);
	size = sg_message_number8(r);
	sg_message_need(r, size);
	sg_message_take(r, size);
	if (r->match == SG_MATCH_CERTAIN)
		read_extensions(r, hello);
}

/* SSL 2's form, from clients that offer both. */
static enum sg_match read_old(const __u8 *at, __u32 len, struct sg_hello *hello)
{
	__u32 ciphers, session, challenge;

	if ((len > 2 && at[2] != CLIENT_HELLO) || (len > 3 && at[3] != 3 && at[3] != 0) ||
	    (len > 4 && at[4] > (at[3] ? 4 : 2)))
		return SG_MATCH_NO;
	if (len < 11)
		return SG_MATCH_MORE;
	ciphers = sg_get16(at + 5);
	session = sg_get16(at + 7);
	challenge = sg_get16(at + 9);
	if (!ciphers || ciphers % 3 || (session && session != 16) || challenge < 16 || challenge > 32)
		return SG_MATCH_NO;
	if ((sg_get16(at) & 0x7fffU) != 9 + ciphers + session + challenge)
		return SG_MATCH_NO;
	hello->version_most = sg_get16(at + 3) < TLS_1_2 ? sg_get16(at + 3) : TLS_1_2;
	hello->end = 11 + ciphers + session + challenge;
	return len < hello->end ? SG_MATCH_GUESS : SG_MATCH_CERTAIN;
}

/* What is there of the message's head and version says whether it is a ClientHello. */
static int is_hello(const struct sg_message *message)
{
	const __u8 *at = message->at;
	__u32 len = message->here, size = len < SG_MESSAGE_HEAD ? HELLO_MIN : sg_get32(at) & 0xffffff;

	if (len && at[0] != CLIENT_HELLO)
		return 0;
	return size >= HELLO_MIN && size <= HELLO_MAX && (len < 5 || at[4] == 3) && (len < 6 || at[5] <= 4);
}

static enum sg_match read_message(const struct sg_message *message, struct sg_hello *hello)
{
	reader r;

	if (message->here < SG_MESSAGE_HEAD + 2)
		return SG_MATCH_MORE;
	hello->end = message->end;
	hello->shares = message->shares;
	r = sg_message_reader(message);
	read_body(&r, hello);
	return r.match == SG_MATCH_MORE ? SG_MATCH_GUESS : r.match;
}

enum sg_match sg_hello_read(const __u8 *at, __u32 len, struct sg_hello *hello)
{
	__u8 joined[SG_PREFIX_BYTES];
	struct sg_message message;

	memset(hello, 0, offsetof(struct sg_hello, sni));
	if (!len || at[0] & 0x80)
		return len ? read_old(at, len, hello) : SG_MATCH_MORE;
	if (!sg_message_find(at, len, joined, &message) || !is_hello(&message))
		return SG_MATCH_NO;
	return read_message(&message, hello);
}

enum sg_match sg_hello_read_bare(const __u8 *at, __u32 len, struct sg_hello *hello)
{
	struct sg_message message = { .at = at, .here = len };
	__u32 length = len < SG_MESSAGE_HEAD ? 0 : SG_MESSAGE_HEAD + (sg_get32(at) & 0xffffff);

	memset(hello, 0, offsetof(struct sg_hello, sni));
	if (!is_hello(&message))
		return SG_MATCH_NO;
	if (length && len >= length)
		message.end = message.here = length;
	return read_message(&message, hello);
}
