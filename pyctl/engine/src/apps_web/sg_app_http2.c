/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* HTTP/2: the client's preface (RFC 9113) is proof. Pure. */
#include "apps_web/sg_apps_web.h"
#include "prefix/sg_text.h"

enum sg_match sg_app_http2(const struct sg_prefix *prefix)
{
	return sg_text_begins(prefix->data[0], prefix->len[0], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}
