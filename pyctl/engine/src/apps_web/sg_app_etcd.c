/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* etcd: gRPC whose first request is for one of etcd's services, as text or in Huffman's code. As gRPC it is a guess before
 * that. Pure. */
#include "apps_web/sg_apps_web.h"
#include "apps_web/sg_hpack.h"
#include "prefix/sg_text.h"

#define PATH_FIRST 4		/* in HPACK's static table: two with this name */
#define PATH_LAST 5

/* "/etcdserverpb." takes 79 bits: what follows them shares the last byte. */
static int is_service(const struct sg_hpack_text *path)
{
	static const __u8 code[] = { 0x60, 0xa9, 0x24, 0x88, 0x2d, 0x9d, 0xcb, 0x65, 0x71, 0xae };

	if (!path->is_huffman)
		return path->len >= 14 && !memcmp(path->bytes, "/etcdserverpb.", 14);
	return path->len >= sizeof(code) && !memcmp(path->bytes, code, sizeof(code) - 1) &&
	       (path->bytes[sizeof(code) - 1] & 0xfe) == code[sizeof(code) - 1];
}

static int is_it(const struct sg_hpack_field *field)
{
	return field->index >= PATH_FIRST && field->index <= PATH_LAST && is_service(&field->value);
}

enum sg_match sg_app_etcd(const struct sg_prefix *prefix)
{
	enum sg_match match = sg_app_grpc(prefix);

	return match == SG_MATCH_CERTAIN ? sg_hpack_find(prefix, is_it) : match;
}
