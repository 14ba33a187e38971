/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the beginning of a side as text. An sg_match is of these bytes alone: CERTAIN says that they begin so. */
#ifndef SG_TEXT_H
#define SG_TEXT_H

#include <string.h>

#include "prefix/sg_prefix.h"

enum sg_text_limit { SG_TEXT_WORD = 32 };	/* bytes of a word, less one */

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

/* Whether the first word is one of these, which NULL ends, and are in capitals with any_case; MORE until a space or the
 * end of a line shows that the word is whole. */
static inline enum sg_match sg_text_word(const __u8 *at, __u32 len, const char *const *words, int any_case)
{
	__u32 word = 0;
	__u8 first;

	while (word < len && word < SG_TEXT_WORD && at[word] > ' ')
		word++;
	if (word == SG_TEXT_WORD || !word)
		return len ? SG_MATCH_NO : SG_MATCH_MORE;
	first = any_case ? sg_text_upper(at[0]) : at[0];
	for (; *words; words++) {
		const char *one = *words;
		__u32 i = 0;

		if ((__u8)*one != first)
			continue;
		while (i < word && one[i] && (any_case ? sg_text_upper(at[i]) : at[i]) == (__u8)one[i])
			i++;
		if (i == word && (word == len || !one[i]))
			return word == len ? SG_MATCH_MORE : SG_MATCH_CERTAIN;
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
