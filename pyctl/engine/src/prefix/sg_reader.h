/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the first bytes of one side in order. Each byte decides where it is read, so that more bytes change no answer:
 * what is missing is MORE, what is wrong is NO, and after either nothing more is read. */
#ifndef SG_READER_H
#define SG_READER_H

#include <netinet/in.h>
#include <linux/types.h>

#include "prefix/sg_prefix.h"

enum sg_reader_limit {
	SG_READER_FAR = 1 << 30,	/* no message is longer, so ends of messages never wrap */
};

struct sg_reader {
	const __u8 *data;
	__u32 len;
	__u32 at;
	__u8 is_whole;		/* a datagram: no more bytes will come */
	__u8 match;		/* enum sg_match; SG_MATCH_CERTAIN: nothing is wrong so far */
};

/* Return a reader of the first bytes of one side. */
static inline struct sg_reader sg_reader(const struct sg_prefix *prefix, int side)
{
	return (struct sg_reader){
		.data = prefix->data[side],
		.len = prefix->len[side],
		.is_whole = prefix->proto == IPPROTO_UDP && prefix->len[side],
		.match = SG_MATCH_CERTAIN,
	};
}

/* Return whether nothing is missing or wrong so far. */
static inline int sg_fine(const struct sg_reader *reader)
{
	return reader->match == SG_MATCH_CERTAIN;
}

/* Return what is said of the side: `found`, if nothing is missing or wrong. */
static inline enum sg_match sg_read_as(const struct sg_reader *reader, enum sg_match found)
{
	return sg_fine(reader) ? found : (enum sg_match)reader->match;
}

static inline void sg_require(struct sg_reader *reader, int is_right)
{
	if (sg_fine(reader) && !is_right)
		reader->match = SG_MATCH_NO;
}

/* Return whether so many bytes can be read. */
static inline int sg_need(struct sg_reader *reader, __u32 count)
{
	if (sg_fine(reader) && reader->len - reader->at < count)
		reader->match = reader->is_whole ? SG_MATCH_NO : SG_MATCH_MORE;
	return sg_fine(reader);
}

/* Read a number of 1 to 8 bytes in network order; 0 if it cannot be read. */
static inline __u64 sg_take(struct sg_reader *reader, __u32 bytes)
{
	__u64 value = 0;

	if (!sg_need(reader, bytes))
		return 0;
	while (bytes--)
		value = value << 8 | reader->data[reader->at++];
	return value;
}

/* Read a number of 1 to 8 bytes, the lowest first; 0 if it cannot be read. */
static inline __u64 sg_take_le(struct sg_reader *reader, __u32 bytes)
{
	__u64 value = 0;

	if (!sg_need(reader, bytes))
		return 0;
	for (__u32 i = 0; i < bytes; i++)
		value |= (__u64)reader->data[reader->at++] << 8 * i;
	return value;
}

static inline void sg_skip(struct sg_reader *reader, __u32 bytes)
{
	if (sg_need(reader, bytes))
		reader->at += bytes;
}

/* Require these bytes; the first that differs decides. */
static inline void sg_expect(struct sg_reader *reader, const char *text, __u32 bytes)
{
	for (__u32 i = 0; i < bytes && sg_fine(reader); i++)
		sg_require(reader, sg_take(reader, 1) == (__u8)text[i]);
}

static inline void sg_expect_zeros(struct sg_reader *reader, __u32 bytes)
{
	while (bytes-- && sg_fine(reader))
		sg_require(reader, sg_take(reader, 1) == 0);
}

/* Read so many bytes of text: none is a control character. */
static inline void sg_skip_text(struct sg_reader *reader, __u32 bytes)
{
	for (; bytes && sg_need(reader, 1); bytes--, reader->at++)
		sg_require(reader, reader->data[reader->at] >= ' ' && reader->data[reader->at] != 0x7f);
}

/* Read text of at most `most` bytes and the zero after it; return how long the text is. */
static inline __u32 sg_skip_string(struct sg_reader *reader, __u32 most)
{
	__u32 begin = reader->at;

	while (sg_need(reader, 1) && reader->data[reader->at]) {
		sg_require(reader, reader->at - begin < most);
		sg_skip_text(reader, 1);
	}
	sg_skip(reader, 1);
	return sg_fine(reader) ? reader->at - begin - 1 : 0;
}

/* Return where a part of so many bytes ends, which begins here and lies within `outer`. */
static inline __u32 sg_end(struct sg_reader *reader, __u64 bytes, __u32 outer)
{
	sg_require(reader, reader->at <= outer && bytes <= outer - reader->at);
	return sg_fine(reader) ? reader->at + (__u32)bytes : reader->at;
}

/* Require that a part ends here. */
static inline void sg_expect_end(struct sg_reader *reader, __u32 end)
{
	sg_require(reader, reader->at == end);
}

/* Require that a datagram ends here; on a stream anything may follow. */
static inline void sg_expect_last(struct sg_reader *reader)
{
	sg_require(reader, !reader->is_whole || reader->at == reader->len);
}

/* Return whether `text` is what was read from `from` on. */
static inline int sg_was(const struct sg_reader *reader, __u32 from, const char *text)
{
	for (; *text; text++, from++) {
		if (from >= reader->at || reader->data[from] != (__u8)*text)
			return 0;
	}
	return 1;
}

/* Return what is said of a flow by what is said of the side that decides, and of the one that may only agree: it is
 * asked if the first says GUESS. */
static inline enum sg_match sg_match_sides(enum sg_match decides, enum sg_match agrees)
{
	if (decides != SG_MATCH_GUESS || agrees == SG_MATCH_MORE)
		return decides;
	return agrees == SG_MATCH_NO ? SG_MATCH_NO : SG_MATCH_CERTAIN;
}

#endif
