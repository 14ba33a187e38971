/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the beginning of a side as text. Each answer is an sg_match of these bytes alone: CERTAIN says that they begin so. */
#ifndef SG_TEXT_H
#define SG_TEXT_H

#include <string.h>

#include "prefix/sg_prefix.h"

static inline __u8 sg_text_upper(__u8 byte)
{
	return byte >= 'a' && byte <= 'z' ? (__u8)(byte - 32) : byte;
}

static inline enum sg_match sg_text_begins(const __u8 *at, __u32 len, const char *text)
{
	for (__u32 i = 0; text[i]; i++) {
		if (i == len)
			return SG_MATCH_MORE;
		if (at[i] != (__u8)text[i])
			return SG_MATCH_NO;
	}
	return SG_MATCH_CERTAIN;
}

/* Whatever the letters' case; `text` is in capitals. */
static inline enum sg_match sg_text_begins_any(const __u8 *at, __u32 len, const char *text)
{
	for (__u32 i = 0; text[i]; i++) {
		if (i == len)
			return SG_MATCH_MORE;
		if (sg_text_upper(at[i]) != (__u8)text[i])
			return SG_MATCH_NO;
	}
	return SG_MATCH_CERTAIN;
}

/* Whether the first word is one of these, in capitals and with a space between them; MORE until a space or the end of a
 * line shows that the word is whole. */
static inline enum sg_match sg_text_word(const __u8 *at, __u32 len, const char *words, int any_case)
{
	__u32 word = 0;

	while (word < len && word < 32 && at[word] > ' ')
		word++;
	if (word == 32 || (!word && len))
		return SG_MATCH_NO;
	for (const char *one = words; *one; one += strcspn(one, " "), one += *one == ' ') {
		__u32 i = 0, size = (__u32)strcspn(one, " ");

		while (i < word && i < size && (any_case ? sg_text_upper(at[i]) : at[i]) == (__u8)one[i])
			i++;
		if (i == word && word == len)
			return SG_MATCH_MORE;
		if (i == word && i == size)
			return SG_MATCH_CERTAIN;
	}
	return SG_MATCH_NO;
}

/* Return the length of the first line with its LF; 0: it has no end yet. */
static inline __u32 sg_text_line(const __u8 *at, __u32 len)
{
	const __u8 *end = len ? memchr(at, '\n', len) : NULL;

	return end ? (__u32)(end - at) + 1 : 0;
}

/* Whether `text`, in capitals, is in these bytes, whatever their letters' case. */
static inline int sg_text_has(const __u8 *at, __u32 len, const char *text)
{
	for (; len; at++, len--) {
		if (sg_text_begins_any(at, len, text) == SG_MATCH_CERTAIN)
			return 1;
	}
	return 0;
}

/* Count the digits that it begins with. */
static inline __u32 sg_text_digits(const __u8 *at, __u32 len)
{
	__u32 digits = 0;

	while (digits < len && at[digits] >= '0' && at[digits] <= '9')
		digits++;
	return digits;
}

#endif
