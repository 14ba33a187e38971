/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* gRPC: HTTP/2 whose first request has the content type application/grpc, as text or in Huffman's code.
 * Before that request it is a guess: some clients wait for the server's SETTINGS, which a rule for gRPC must let them
 * have. Pure. */
#include "apps_web/sg_apps_web.h"
#include "apps_web/sg_hpack.h"
#include "prefix/sg_text.h"

#define CONTENT_TYPE 31		/* in HPACK's static table */

static int is_name(const struct sg_hpack_text *name)
{
	static const __u8 code[] = { 0x21, 0xea, 0x49, 0x6a, 0x4a, 0xc9, 0xf5, 0x59, 0x7f };

	if (name->is_huffman)
		return name->len == sizeof(code) && !memcmp(name->bytes, code, sizeof(code));
	return name->len == 12 && !memcmp(name->bytes, "content-type", 12);
}

/* "application/grpc" takes 88 bits: what follows it begins with a byte. */
static int is_grpc(const struct sg_hpack_text *value)
{
	static const __u8 code[] = { 0x1d, 0x75, 0xd0, 0x62, 0x0d, 0x26, 0x3d, 0x4c, 0x4d, 0x65, 0x64 };
	const __u8 *next = value->bytes + (value->is_huffman ? sizeof(code) : 16);

	if (value->is_huffman) {
		if (value->len < sizeof(code) || memcmp(value->bytes, code, sizeof(code)))
			return 0;
		return value->len == sizeof(code) || next[0] == 0xfb || (next[0] == 0xff && next[1] >> 5 == 3);
	}
	if (value->len < 16 || memcmp(value->bytes, "application/grpc", 16))
		return 0;
	return value->len == 16 || next[0] == '+' || next[0] == ';';
}

static int is_it(const struct sg_hpack_field *field)
{
	return (field->index == CONTENT_TYPE || (!field->index && is_name(&field->name))) && is_grpc(&field->value);
}

enum sg_match sg_app_grpc(const struct sg_prefix *prefix)
{
	enum sg_match match = sg_text_begins(prefix->data[0], prefix->len[0], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

	return match == SG_MATCH_CERTAIN ? sg_hpack_find(prefix, is_it) : match;
}
