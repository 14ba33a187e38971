/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Measures a header of the PROXY protocol; see the header. In: bytes. Out: a length. Pure. */
#include <netinet/in.h>

#include "prefix/sg_proxy.h"
#include "prefix/sg_text.h"

#define LINE_MAX_V1 107
#define HEAD_V2 16

static __u32 text_length(const __u8 *at, __u32 len)
{
	static const char *const families[] = { "PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN" };
	enum sg_match best = SG_MATCH_NO;
	__u32 line;

	for (int i = 0; i < 3; i++) {
		enum sg_match match = sg_text_begins(at, len, families[i]);

		best = match > best ? match : best;
	}
	if (best != SG_MATCH_CERTAIN)
		return best == SG_MATCH_MORE ? len : 0;
	line = sg_text_line(at, len < LINE_MAX_V1 ? len : LINE_MAX_V1);
	if (!line)
		return len < LINE_MAX_V1 ? len : 0;
	return at[line - 2] == '\r' ? line : 0;
}

static __u32 binary_length(const __u8 *at, __u32 len)
{
	static const __u8 signature[] = { 13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10 };
	__u32 total;

	if (memcmp(at, signature, len < sizeof(signature) ? len : sizeof(signature)))
		return 0;
	if (len > 12 && at[12] != 0x20 && at[12] != 0x21)
		return 0;
	if (len < HEAD_V2)
		return len;
	total = HEAD_V2 + ((__u32)at[14] << 8 | at[15]);
	return total < len ? total : len;
}

__u32 sg_proxy_length(const struct sg_prefix *prefix)
{
	const __u8 *at = prefix->data[0];
	__u32 len = prefix->len[0];

	if (prefix->proto != IPPROTO_TCP || !len)
		return 0;
	if (at[0] == 'P')
		return text_length(at, len);
	return at[0] == '\r' ? binary_length(at, len) : 0;
}
