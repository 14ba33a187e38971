/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* DNS names and their patterns; see the header. In: bytes. Out: names, matches. Pure. */
#include "condition/sg_name.h"

#include <string.h>

/* Return the byte in lower case; 0: it is in no name. */
static __u8 lower(__u8 byte)
{
	if (byte >= 'A' && byte <= 'Z')
		return (__u8)(byte + 32);
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ? byte : 0;
}

__u32 sg_name_read(const __u8 *text, __u32 len, __u8 *out)
{
	__u32 label = 0;

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len > SG_NAME_MAX)
		return 0;
	for (__u32 i = 0; i < len; i++) {
		int ends = text[i] == '.';

		if (ends ? !label : !lower(text[i]) || label == SG_LABEL_MAX)
			return 0;
		label = ends ? 0 : label + 1;
		out[i] = ends ? '.' : lower(text[i]);
	}
	return label ? len : 0;
}

int sg_name_matches(const __u8 *pattern, __u32 pattern_len, const __u8 *name, __u32 len)
{
	__u32 suffix;

	if (pattern_len < 2 || pattern[0] != '*')
		return pattern_len == len && !memcmp(pattern, name, len);
	suffix = pattern_len - 1;	/* with its dot */
	return len > suffix && !memcmp(pattern + 1, name + len - suffix, suffix);
}
