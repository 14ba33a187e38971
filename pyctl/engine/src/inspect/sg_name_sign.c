/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Tells what shows a name from what does not; see the header. In: the first bytes of both sides. Out: a sign. Pure.
 *
 * A recogniser is as strict as the standard, so that what it is sure of is certain. Here the risk is the other one: what a
 * lenient server takes for TLS or HTTP must not pass for something without a name. */
#include "inspect/sg_name_sign.h"

#include <string.h>

#include "prefix/sg_proxy.h"
#include "prefix/sg_text.h"

enum { RECORD_FIRST = 20, RECORD_LAST = 24, METHOD_MAX = 32, LINE_MAX = 8192, LINES_MAX = 64 };

/* Bytes that servers skip before a request, and between the words of its first line. */
static int is_space(__u8 byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r' && byte != '\n');
}

/* A record of TLS: of a handshake, or of what a server may skip before one. */
static enum sg_name_sign sign_of_tls(const __u8 *at, __u32 len)
{
	if (at[0] < RECORD_FIRST || at[0] > RECORD_LAST)
		return SG_NAME_NONE;
	if (len < 2)
		return SG_NAME_MAYBE;
	return at[1] == 3 ? SG_NAME_LIKELY : SG_NAME_NONE;
}

/* Whether the rest of a first line names HTTP as its version. */
static int names_http(const __u8 *at, __u32 len)
{
	for (__u32 i = 0; i + 1 < len; i++)
		if (is_space(at[i]) && sg_text_upper(at[i + 1]) == 'H' && len - i > 5 && sg_text_upper(at[i + 2]) == 'T' &&
		    sg_text_upper(at[i + 3]) == 'T' && sg_text_upper(at[i + 4]) == 'P' && at[i + 5] == '/')
			return 1;
	return 0;
}

/* RFC 9110: a token. */
static int is_token(__u8 byte)
{
	byte = sg_text_upper(byte);
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

/* A first line with a method, a target, and HTTP's version. One that ends without a version asks for no host. */
static enum sg_name_sign sign_of_line(const __u8 *at, __u32 len)
{
	const __u8 *end = memchr(at, '\n', len);
	__u32 size = end ? (__u32)(end - at) : len, method = 0;

	while (method < size && !is_space(at[method])) {
		if (!is_token(at[method]) || method == METHOD_MAX)
			return SG_NAME_NONE;
		method++;
	}
	for (__u32 i = method; i < size; i++)
		if (!at[i])
			return SG_NAME_NONE;
	if (names_http(at + method, size - method) || (size > method && size >= LINE_MAX))
		return SG_NAME_LIKELY;
	return end ? SG_NAME_NONE : SG_NAME_MAYBE;
}

static enum sg_name_sign sign_of(const struct sg_prefix *prefix)
{
	__u32 skipped = sg_proxy_length(prefix), lines = 0;
	const __u8 *at = prefix->data[0] + skipped;
	__u32 len = prefix->len[0] - skipped;
	enum sg_name_sign sign;

	if (len) {
		sign = sign_of_tls(at, len);
		if (sign)
			return sign;
	}
	while (len && (is_space(*at) || *at == '\n')) {
		lines += *at == '\n';
		at++;
		len--;
	}
	if (lines > LINES_MAX)
		return SG_NAME_LIKELY;
	return len ? sign_of_line(at, len) : SG_NAME_MAYBE;
}

enum sg_name_sign sg_name_sign(const struct sg_prefix *prefix, int server_first)
{
	enum sg_name_sign sign = server_first ? SG_NAME_NONE : sign_of(prefix);

	/* No server of TLS or HTTP says anything to a part of what begins a connection. */
	return sign == SG_NAME_MAYBE && prefix->len[1] ? SG_NAME_NONE : sign;
}
