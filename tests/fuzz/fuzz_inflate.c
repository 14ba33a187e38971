/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes the decoder of compressed bodies: any bytes in any pieces, in a build with ASan and UBSan.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_inflate.c <sources of inflate>.
 * Alone (-DFUZZ_ALONE): mutates bodies of its own for the seconds given, from the seed given, and prints the seed of a failing
 * run before it starts it.
 * The first byte is the coding, the second how the others are cut. The arena is an allocation of exactly its size. What comes
 * out, and how it ends, is the same however the bytes are cut, and never more than the limits say. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inflate/sg_unzip.h"

enum { TOTAL = 1 << 20, RATIO = 50, STOP_EVERY = 251 };

/* What came out. */
struct found {
	uint64_t bytes;
	uint64_t hash;
	uint32_t stop;		/* after so many bytes; 0: never */
	int whole;
};

static int take(void *ctx, const uint8_t *bytes, uint32_t len)
{
	struct found *found = ctx;

	if (!len || len > SG_UNZIP_PIECE)
		abort();
	for (uint32_t i = 0; i < len; i++)
		found->hash = found->hash * 31 + bytes[i];
	found->bytes += len;
	return found->stop && found->bytes >= found->stop;
}

static enum sg_unzip_result inflate_all(uint8_t coding, const uint8_t *data, size_t size, uint32_t cuts, struct found *found)
{
	static const struct sg_unzip_limits limits = { .total = TOTAL, .ratio = RATIO };
	static void *arenas[256];	/* of each coding one for all runs: what the last one left in it is of no matter */
	uint32_t room = sg_unzip_arena(coding);
	enum sg_unzip_result result = SG_UNZIP_MORE;
	struct sg_unzip *stream;

	if (!room)
		return SG_UNZIP_MORE;
	if (!arenas[coding])
		arenas[coding] = malloc(room);
	stream = sg_unzip_begin(arenas[coding], room, coding, &limits);
	if (!stream)
		abort();
	for (size_t at = 0; at < size;) {
		size_t piece = cuts ? 1 + (cuts = cuts * 1103515245 + 12345) / 65536 % 40 : size;
		uint8_t *copy;

		piece = piece < size - at ? piece : size - at;
		copy = malloc(piece);
		memcpy(copy, data + at, piece);
		if (result && sg_unzip_add(stream, copy, (uint32_t)piece, take, found) != result)
			abort();
		if (!result)
			result = sg_unzip_add(stream, copy, (uint32_t)piece, take, found);
		free(copy);
		at += piece;
	}
	found->whole = sg_unzip_is_whole(stream);
	if (found->bytes > TOTAL)
		abort();
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct found whole = { .bytes = 0 }, cut = { .bytes = 0 };
	enum sg_unzip_result one, other;

	if (size < 2 || size > 1 << 16)
		return 0;
	sg_unzip_load();
	one = inflate_all(data[0], data + 2, size - 2, 0, &whole);
	other = inflate_all(data[0], data + 2, size - 2, data[1] + 1u, &cut);
	/* A bomb is told by what went in so far, and a broken body may end in the midst of what it gave. */
	if (one == SG_UNZIP_MORE && (other != one || whole.whole != cut.whole))
		abort();
	/* Brotli may keep its last byte back where its input is cut short. */
	if (one == SG_UNZIP_MORE && (whole.whole || data[0] != SG_UNZIP_BROTLI) && whole.hash != cut.hash)
		abort();
	if ((one == SG_UNZIP_BROKEN) != (other == SG_UNZIP_BROKEN) && other != SG_UNZIP_BOMB && one != SG_UNZIP_BOMB)
		abort();
	cut = (struct found){ .stop = 1u + data[1] % STOP_EVERY };
	inflate_all(data[0], data + 2, size - 2, 0, &cut);
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

static const struct {
	uint8_t coding;
	uint16_t size;
	const char *bytes;
} seeds[] = {
	{ 1, 70,
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\x4c\x51\xb2\x52\x30\xd4\x51\x50\xca\x4b\xcc\x4d\x05\x32\x95"
	"\x12\x15\xc0\x2c\xa8\x88\x11\x42\x48\x21\x31\x3d\x31\x33\x0f\x24\x51\x95\x5a\x94\x5f\x0c\x92\x30\x20\x0a\x28\xd5"
	"\x72\x55\x0f\x33\x7b\x00\x3c\x26\xd0\x3a\x38\x01\x00\x00" },
	{ 2, 58,
	"\x78\x9c\xab\x56\xca\x4c\x51\xb2\x52\x30\xd4\x51\x50\xca\x4b\xcc\x4d\x05\x32\x95\x12\x15\xc0\x2c\xa8\x88\x11\x42"
	"\x48\x21\x31\x3d\x31\x33\x0f\x24\x51\x95\x5a\x94\x5f\x0c\x92\x30\x20\x0a\x28\xd5\x72\x55\x0f\x33\x7b\x00\xa5\x04"
	"\x4b\xfa" },
	{ 2, 52,
	"\xab\x56\xca\x4c\x51\xb2\x52\x30\xd4\x51\x50\xca\x4b\xcc\x4d\x05\x32\x95\x12\x15\xc0\x2c\xa8\x88\x11\x42\x48\x21"
	"\x31\x3d\x31\x33\x0f\x24\x51\x95\x5a\x94\x5f\x0c\x92\x30\x20\x0a\x28\xd5\x72\x55\x0f\x33\x7b\x00" },
	{ 3, 66,
	"\x1b\x37\x01\x00\x04\x64\x6e\x9d\x92\xd8\x33\x01\x88\xb4\xc6\xa6\xc1\xa0\xc5\xe8\x74\x83\xf3\x40\x31\x8f\x42\xca"
	"\x92\x18\x16\xe0\x3d\x65\x13\x74\x81\x60\xf6\xf5\x5f\x8f\x35\x28\x0d\x53\x4e\xef\x09\xd3\xc3\x85\x5b\xc9\x7c\xcf"
	"\xc0\x90\x37\xc0\xdd\x5d\x5e\xc1\x97\x2e" }
};

static unsigned int make_and_run(void)
{
	static uint8_t input[4096];

	for (int i = 0; i < 200; i++) {
		size_t size = 2, pick = (size_t)rand() % (sizeof(seeds) / sizeof(seeds[0]));

		input[0] = rand() % 20 ? seeds[pick].coding : (uint8_t)(rand() % 5);
		input[1] = (uint8_t)rand();
		for (int one = 1 + rand() % 3; one > 0; one--) {
			memcpy(input + size, seeds[pick].bytes, seeds[pick].size);
			size += seeds[pick].size;
		}
		for (int change = rand() % 6; change > 0; change--)
			input[2 + (size_t)rand() % (size - 2)] = (uint8_t)rand();
		if (!(rand() % 4))
			size = 2 + (size_t)rand() % (size - 1);
		LLVMFuzzerTestOneInput(input, size);
	}
	return 200;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
