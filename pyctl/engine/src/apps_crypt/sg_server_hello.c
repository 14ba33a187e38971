/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads a ServerHello (RFC 8446, 5246); see the header. In: bytes. Out: a match, the version. Pure. */
#include "apps_crypt/sg_server_hello.h"

#include <string.h>

#include "apps_crypt/sg_records.h"

#define SERVER_HELLO 2
#define EXTENSION_VERSIONS 43
#define TLS_1_3 0x0304
#define DRAFT_1_3 0x7f

/* The random of a HelloRetryRequest: SHA-256 of that word. */
static const __u8 RETRY[32] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static void read_extensions(struct sg_message_reader *r, struct sg_server_hello *hello)
{
	if (!r->left)
		return;
	sg_message_need(r, sg_message_number16(r) == r->left);
	while (r->match == SG_MATCH_CERTAIN && r->left) {
		__u32 type = sg_message_number16(r), size = sg_message_number16(r);
		const __u8 *at;

		sg_message_need(r, size <= r->left);
		at = sg_message_take(r, size);
		if (at && type == EXTENSION_VERSIONS && size == 2)
			hello->version = at[0] == DRAFT_1_3 ? TLS_1_3 : sg_get16(at);
	}
}

/* Version, random, session, cipher, compression, extensions. */
enum sg_match sg_server_hello_read(const __u8 *at, __u32 len, struct sg_server_hello *hello)
{
	__u8 joined[SG_PREFIX_BYTES];
	struct sg_message_reader r;
	struct sg_message message;
	const __u8 *random;
	__u32 size;

	*hello = (struct sg_server_hello){ 0 };
	if (!sg_message_find(at, len, joined, &message) || (message.here && message.at[0] != SERVER_HELLO))
		return SG_MATCH_NO;
	if (!message.end)
		return SG_MATCH_MORE;
	hello->end = message.end;
	r = sg_message_reader(&message);
	hello->version = (__u16)sg_message_number16(&r);
	random = sg_message_take(&r, sizeof(RETRY));
	hello->retries = random && !memcmp(random, RETRY, sizeof(RETRY));
	size = sg_message_number8(&r);
	sg_message_need(&r, size <= 32);
	sg_message_take(&r, size + 3);
	if (r.match == SG_MATCH_CERTAIN)
		read_extensions(&r, hello);
	return r.match;
}
