/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SSH: either side's version line is proof. Pure. */
#include "apps_crypt/sg_apps_crypt.h"
#include "prefix/sg_text.h"

/* "SSH-2.0-", "SSH-1.99-", "SSH-1.5-". */
static enum sg_match banner(const __u8 *at, __u32 len)
{
	enum sg_match match = sg_text_begins(at, len, "SSH-");
	__u32 major, minor;

	if (match != SG_MATCH_CERTAIN)
		return match;
	at += 4;
	len -= 4;
	major = sg_text_digits(at, len);
	if (major > 1 || (!major && len))
		return SG_MATCH_NO;
	if (len < 2)
		return SG_MATCH_MORE;
	if (at[1] != '.')
		return SG_MATCH_NO;
	minor = sg_text_digits(at + 2, len - 2);
	if (minor > 2 || (!minor && len > 2))
		return SG_MATCH_NO;
	if (len == minor + 2)
		return SG_MATCH_MORE;
	return at[minor + 2] == '-' ? SG_MATCH_CERTAIN : SG_MATCH_NO;
}

enum sg_match sg_app_ssh(const struct sg_prefix *prefix)
{
	enum sg_match asks = banner(prefix->data[0], prefix->len[0]);
	enum sg_match answers = banner(prefix->data[1], prefix->len[1]);

	if (asks == SG_MATCH_NO || answers == SG_MATCH_NO)
		return SG_MATCH_NO;
	return asks > answers ? asks : answers;
}
