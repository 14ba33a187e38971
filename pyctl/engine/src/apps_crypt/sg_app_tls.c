/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TLS: a whole ClientHello is proof. A ServerHello without it is a guess. Pure. */
#include "apps_crypt/sg_apps_crypt.h"
#include "apps_crypt/sg_hello.h"

/* A handshake record of TLS that begins with a ServerHello. */
static int is_server_hello(const __u8 *at, __u32 len)
{
	return len >= 11 && at[0] == 22 && at[1] == 3 && at[2] <= 4 && at[5] == 2 && at[9] == 3 && at[10] <= 4;
}

enum sg_match sg_app_tls(const struct sg_prefix *prefix)
{
	struct sg_hello hello;
	enum sg_match match = sg_hello_read(prefix->data[0], prefix->len[0], &hello);

	if (match == SG_MATCH_MORE && !prefix->len[0] && is_server_hello(prefix->data[1], prefix->len[1]))
		return SG_MATCH_GUESS;
	return match;
}
