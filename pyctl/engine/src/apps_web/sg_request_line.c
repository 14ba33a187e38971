/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* First lines of HTTP and its kin; see the header. In: bytes. Out: a match. Pure. */
#include "apps_web/sg_request_line.h"
#include "prefix/sg_text.h"

#define METHOD_MAX 32

/* RFC 9110: a token. */
static int is_token(__u8 byte)
{
	if ((byte >= '0' && byte <= '9') || (sg_text_upper(byte) >= 'A' && sg_text_upper(byte) <= 'Z'))
		return 1;
	return byte && strchr("!#$%&'*+-.^_`|~", byte);
}

/* Return the length of a part and the space behind it, 0 if there is no space yet, -1 if it is none. */
static int method_length(const __u8 *at, __u32 len)
{
	for (__u32 i = 0; i < len && i < METHOD_MAX; i++) {
		if (at[i] == ' ')
			return i ? (int)i + 1 : -1;
		if (!is_token(at[i]))
			return -1;
	}
	return len < METHOD_MAX ? 0 : -1;
}

static int target_length(const __u8 *at, __u32 len)
{
	for (__u32 i = 0; i < len; i++) {
		if (at[i] == ' ')
			return i ? (int)i + 1 : -1;
		if (at[i] < ' ' || at[i] == 0x7f)
			return -1;
	}
	return 0;
}

static enum sg_match version_ends(const __u8 *at, __u32 len, const char *version, __u32 *length)
{
	enum sg_match match = sg_text_begins(at, len, version);
	__u32 size = (__u32)strlen(version);

	if (match != SG_MATCH_CERTAIN)
		return match;
	if (len == size)
		return SG_MATCH_MORE;
	if (at[size] < '0' || at[size] > '9')
		return SG_MATCH_NO;
	*length += size + 3;
	return sg_text_begins(at + size + 1, len - size - 1, "\r\n");
}

enum sg_match sg_request_line(const __u8 *at, __u32 len, const char *version, __u32 *length)
{
	int method = method_length(at, len), target;

	if (method <= 0)
		return method ? SG_MATCH_NO : SG_MATCH_MORE;
	target = target_length(at + method, len - (__u32)method);
	if (target <= 0)
		return target ? SG_MATCH_NO : SG_MATCH_MORE;
	*length = (__u32)(method + target);
	return version_ends(at + *length, len - *length, version, length);
}

enum sg_match sg_status_line(const __u8 *at, __u32 len, const char *version)
{
	enum sg_match match = sg_text_begins(at, len, version);
	__u32 size = (__u32)strlen(version);

	if (match != SG_MATCH_CERTAIN)
		return match;
	if (len > size && (at[size] < '0' || at[size] > '9'))
		return SG_MATCH_NO;
	if (len > size + 1 && at[size + 1] != ' ')
		return SG_MATCH_NO;
	if (len < size + 5)
		return SG_MATCH_MORE;
	return sg_text_digits(at + size + 2, 3) == 3 ? SG_MATCH_CERTAIN : SG_MATCH_NO;
}
