/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* DNS over TLS: a ClientHello that offers the ALPN "dot" (RFC 7858 names none; IANA does). Pure. */
#include "apps_crypt/sg_apps_crypt.h"
#include "apps_crypt/sg_hello.h"

enum sg_match sg_app_dot(const struct sg_prefix *prefix)
{
	struct sg_hello hello;
	enum sg_match match = sg_hello_read(prefix->data[0], prefix->len[0], &hello);

	if (match == SG_MATCH_GUESS)
		return SG_MATCH_MORE;
	return match == SG_MATCH_CERTAIN && !hello.offers_dot ? SG_MATCH_NO : match;
}
