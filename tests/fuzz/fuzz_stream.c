/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes TCP's streams: any segments and options, in a build with ASan and UBSan, beside arrays of what was kept.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_stream.c <core sources>.
 * Alone (-DFUZZ_ALONE): makes rows of segments for the seconds given, from the seed given, and prints the seed of a
 * failing run before it starts it.
 * Options and data are handed in as allocations of exactly their size, so one byte beyond is a fault. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet/sg_tcp_options.h"
#include "stream/sg_stream.h"

enum { FIRST = 0xfffffff0, COMMAND = 8, OPTIONS_MAX = 40, ROOM_SMALL = 6000 };

/* What of a side was kept. */
struct seen {
	uint8_t byte[SG_STREAM_BYTES];
	uint8_t is_there[SG_STREAM_BYTES];
};

static void must(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "\nnot so: %s\n", what);
	abort();
}

static void *copy_of(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	memcpy(copy, bytes, length);
	return copy;
}

/* Read timestamps out of options of any bytes. */
static void read_options(struct sg_segment_head *head, const uint8_t *options, size_t length)
{
	uint8_t header[20 + OPTIONS_MAX] = { [12] = (uint8_t)((5 + length / 4 + length % 3) << 4) };
	uint8_t *copy;

	memcpy(header + 20, options, length);
	copy = copy_of(header, 20 + length);
	head->has_timestamp = (uint8_t)sg_tcp_timestamp(copy, (uint32_t)(20 + length), &head->timestamp);
	must(head->has_timestamp == sg_tcp_echo(copy, (uint32_t)(20 + length), &head->echo), "both are there");
	free(copy);
}

/* Compare a segment with what its side has, and keep it if the stream did. Returns how many bytes of it differ. */
static int account(struct seen *seen, int64_t at, const uint8_t *data, uint32_t length, enum sg_segment was)
{
	int differ = 0;

	for (uint32_t i = 0; i < length; i++) {
		int64_t place = at + i;

		if (place < 0 || place >= SG_STREAM_BYTES)
			continue;
		differ += seen->is_there[place] && seen->byte[place] != data[i];
		if (was == SG_SEGMENT_NEW || was == SG_SEGMENT_WAITS) {
			seen->is_there[place] = 1;
			seen->byte[place] = data[i];
		}
	}
	return differ;
}

static void check_side(const struct sg_stream *stream, uint8_t side, const struct seen *seen)
{
	uint32_t length, whole = 0;
	const uint8_t *bytes = sg_stream_bytes(stream, side, &length);

	while (whole < SG_STREAM_BYTES && seen->is_there[whole])
		whole++;
	must(length == whole, "as many bytes are in order as were kept");
	must(!length == !bytes, "no bytes have no place");
	must(!length || !memcmp(bytes, seen->byte, length), "they are those that were kept");
}

/* The input is a byte for room and starts, then commands of eight bytes: what it is, the offset (2), the ACK's (2), the
 * length (2) and the place of a byte that differs. Options follow their command, as many as its last byte says. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct seen seen[2];
	const uint8_t *at = input + 1, *end = input + size;
	uint64_t room = size && input[0] & 1 ? ROOM_SMALL : 1 << 20;
	struct sg_streams *all = sg_streams_new(room);
	struct sg_stream *stream = sg_stream_new(all);
	struct sg_segment_head head = { 0 };

	memset(seen, 0, sizeof(seen));
	if (size && input[0] & 2) {
		sg_stream_start(stream, 0, FIRST);
		sg_stream_start(stream, 1, FIRST);
	}
	for (; end - at >= COMMAND; at += COMMAND) {
		uint8_t what = at[0], text[1 << 16], *data;
		int64_t offset = (int16_t)(at[1] << 8 | at[2]);
		uint32_t length = (uint32_t)(at[5] << 8 | at[6]);
		enum sg_segment was;

		if (what & 0x80) {
			size_t options = at[7] % (OPTIONS_MAX + 1U);

			if (options > (size_t)(end - at - COMMAND))
				options = (size_t)(end - at - COMMAND);
			read_options(&head, at + COMMAND, options);
			at += options;
			continue;
		}
		head.side = what & 1;
		head.has_ack = what >> 1 & 1;
		/* Once a byte is kept, another start is refused; before, it would move all offsets. */
		head.starts = (what >> 2 & 1) && (!offset || seen[head.side].is_there[0]);
		head.seq = FIRST + (uint32_t)offset;
		head.ack = FIRST + (uint32_t)(int16_t)(at[3] << 8 | at[4]);
		if (!(what & 0x40))
			length %= 200;
		for (uint32_t i = 0; i < length; i++)
			text[i] = (uint8_t)((offset + i) * 7);
		if (length && what & 0x20)
			text[at[7] % length] ^= 1;
		data = copy_of(text, length);
		was = sg_stream_add(all, stream, &head, data, length);
		if (account(&seen[head.side], offset, data, length, was))
			must(was != SG_SEGMENT_NEW && was != SG_SEGMENT_WAITS && was != SG_SEGMENT_NO_ROOM,
			     "it differs");
		else
			must(was != SG_SEGMENT_DIFFERS, "it does not differ");
		free(data);
		must(sg_streams_bytes(all) <= room, "there is so much room");
		check_side(stream, head.side, &seen[head.side]);
		sg_stream_is_settled(stream);
	}
	sg_stream_free(all, stream);
	must(!sg_streams_bytes(all), "nothing is left");
	sg_streams_free(all);
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

/* Make a segment near the ends of what is kept, or options that may be timestamps. */
static size_t make_command(uint8_t *out)
{
	int far = rand() % 4 == 0, offset = rand() % 400 - 20 + far * 16100;

	for (int i = 0; i < COMMAND; i++)
		out[i] = (uint8_t)rand();
	if (rand() % 8)
		out[0] &= 0x3f;
	if (rand() % 3)
		out[0] &= 0xdf;
	if (rand() % 16)
		out[0] &= 0xfb;
	out[1] = (uint8_t)(offset >> 8);
	out[2] = (uint8_t)offset;
	out[3] = (uint8_t)(rand() % 16 ? rand() % 2 : rand());
	if (!(out[0] & 0x80))
		return COMMAND;
	memcpy(out + COMMAND, "\1\1\10\12\0\0\0\1\0\0\0\2", 12);
	out[7] = 12;
	if (rand() % 2)
		out[COMMAND + rand() % 12] = (uint8_t)rand();
	return COMMAND + 12;
}

static unsigned int make_and_run(void)
{
	static uint8_t input[1 << 12];
	size_t size = 1, length = (size_t)rand() % (sizeof(input) - COMMAND - OPTIONS_MAX);

	input[0] = (uint8_t)(rand() | (rand() % 8 ? 2 : 0));
	while (size < length)
		size += make_command(input + size);
	LLVMFuzzerTestOneInput(input, size);
	return 1;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
