/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads records of TLS; see the header. In: bytes. Out: messages. Pure. */
#include "apps_crypt/sg_records.h"

#include <string.h>

#define RECORD_MAX 16384U

/* What is there of a record's head says whether it is one of TLS. */
static int is_record(const __u8 *at, __u32 len)
{
	if ((len > 1 && at[1] != 3) || (len > 2 && at[2] > 4))
		return 0;
	return len < SG_RECORD_HEAD || (sg_get16(at + 3) && sg_get16(at + 3) <= RECORD_MAX);
}

int sg_record_is_handshake(const __u8 *at, __u32 len)
{
	return (!len || at[0] == SG_RECORD_HANDSHAKE) && is_record(at, len);
}

/* Return how long the message is; 0: that is not there yet. */
static __u32 length_of(const __u8 *message, __u32 here)
{
	return here < SG_MESSAGE_HEAD ? 0 : SG_MESSAGE_HEAD + (sg_get32(message) & 0xffffff);
}

/* Put what the records hold together, as far as it goes. */
static int join(const __u8 *data, __u32 len, __u8 *out, struct sg_message *message)
{
	__u32 at = 0, joined = 0;

	while (at < len && !message->end) {
		__u32 size, here;

		if (!sg_record_is_handshake(data + at, len - at))
			return 0;
		if (len - at <= SG_RECORD_HEAD)
			break;
		size = sg_get16(data + at + 3);
		at += SG_RECORD_HEAD;
		here = size < len - at ? size : len - at;
		memcpy(out + joined, data + at, here);
		joined += here;
		at += here;
		if (length_of(out, joined) && joined >= length_of(out, joined)) {
			message->end = at + size - here;
			message->shares = joined + size - here > length_of(out, joined);
		}
	}
	message->at = out;
	message->here = joined;
	return 1;
}

int sg_message_find(const __u8 *at, __u32 len, __u8 *joined, struct sg_message *message)
{
	__u32 size, length;

	*message = (struct sg_message){ 0 };
	len = len < SG_PREFIX_BYTES ? len : SG_PREFIX_BYTES;
	if (!sg_record_is_handshake(at, len))
		return 0;
	if (len < SG_RECORD_HEAD + SG_MESSAGE_HEAD)
		return join(at, len, joined, message);
	size = sg_get16(at + 3);
	length = length_of(at + SG_RECORD_HEAD, SG_MESSAGE_HEAD);
	/* The usual message is one record's, and is read where it lies. */
	if (size < SG_MESSAGE_HEAD || length > size)
		return join(at, len, joined, message);
	message->at = at + SG_RECORD_HEAD;
	message->here = len - SG_RECORD_HEAD;
	if (message->here >= length) {
		message->end = SG_RECORD_HEAD + size;
		message->shares = size > length;
	}
	return 1;
}

__u32 sg_records_skip(const __u8 *at, __u32 len, __u32 types)
{
	__u32 skipped = 0;

	while (len - skipped >= SG_RECORD_HEAD) {
		const __u8 *record = at + skipped;
		__u32 size = SG_RECORD_HEAD + sg_get16(record + 3);

		if (record[0] > 31 || !(types >> record[0] & 1) || !is_record(record, len - skipped) || size > len - skipped)
			break;
		skipped += size;
	}
	return skipped;
}
