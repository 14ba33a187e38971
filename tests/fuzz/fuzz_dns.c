/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes the reader of DNS and the cutter of its streams: any message, and any cuts of several, in a build with ASan and
 * UBSan.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_dns.c <sources of base, dns and names>.
 * Alone (-DFUZZ_ALONE): mutates messages of its own for the seconds given, from the seed given, and prints the seed of a
 * failing run before it starts it.
 * A message is handed in as an allocation of exactly its size, so one byte beyond is a fault. Of a stream, the same messages
 * must come out however it is cut. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sg_bytes.h"
#include "dns/sg_dns.h"
#include "names/sg_dns_streams.h"

static void count(void *context, const struct sg_dns_address *address)
{
	*(uint64_t *)context += address->address[0] + 1u;
}

static void read_message(const uint8_t *data, size_t size)
{
	struct sg_dns_question question;
	struct sg_dns_chain chain;
	uint64_t told = 0;
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	if (!sg_dns_read_question(copy, (uint32_t)size, &question) &&
	    !sg_dns_follow(copy, (uint32_t)size, &question, &chain)) {
		for (uint32_t i = 0; i < chain.count; i++)
			if (strlen(chain.names[i]) >= SG_DNS_TEXT)
				abort();
		sg_dns_addresses(copy, (uint32_t)size, &question, &chain, count, &told);
	}
	free(copy);
}

static void sum(void *context, const uint8_t *bytes, uint32_t length)
{
	uint64_t *state = context;

	*state = *state * 31 + length;
	for (uint32_t i = 0; i < length; i++)
		*state = *state * 31 + bytes[i];
}

/* What comes out of these bytes in pieces of sizes from `cuts`; 0: in one. */
static uint64_t cut(const uint8_t *data, size_t size, uint32_t cuts)
{
	static const struct sg_hash_key key = { { 1, 2 } };
	struct sg_dns_streams streams;
	struct sg_dns_share share = { 0 };
	struct sg_dns_stream *stream;
	uint64_t state = 1;

	if (sg_dns_streams_init(&streams, &key))
		abort();
	stream = sg_dns_stream_of(&streams, &share, 7);
	sg_dns_stream_start(stream, 1, 0xfffffff0);
	for (size_t at = 0; at < size;) {
		size_t piece = cuts ? 1 + (cuts = cuts * 1103515245 + 12345) / 65536 % 40 : size;
		struct sg_dns_segment segment = { .data = data + at, .seq = 0xfffffff0 + (uint32_t)at, .side = 1 };

		segment.length = (uint32_t)(piece < size - at ? piece : size - at);
		if (sg_dns_stream_add(&streams, &share, stream, &segment, 0, sum, &state) != SG_DNS_TAKEN)
			abort();
		at += segment.length;
	}
	sg_dns_stream_end(&streams, &share, 7);
	if (streams.bytes)
		abort();
	sg_dns_streams_free(&streams);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 4096)
		return 0;
	read_message(data, size);
	if (size && cut(data, size, 0) != cut(data, size, (uint32_t)size * 7919 + data[0] + 1u))
		abort();
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

/* An answer with a name that leads to another, a cut address, a service with hints, and the size of a buffer. */
static const uint8_t seed[] =
	"\0\x07\x81\x80\0\1\0\4\0\0\0\1" "\1a\7example\0" "\0\1\0\1"
	"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1b\xc0\x0e"
	"\xc0\x27\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
	"\xc0\x27\0\x1c\0\1\0\0\0\x3c\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
	"\xc0\x0c\0\x41\0\1\0\0\0\x3c\0\x12\0\1\0\0\1\0\3\2h2\0\4\0\4\xc0\0\2\2"
	"\0\0\x29\4\xd0\0\0\0\0\0\0";

static unsigned int make_and_run(void)
{
	static uint8_t input[4096];

	for (int i = 0; i < 100; i++) {
		size_t size = 0;

		for (int one = 1 + rand() % 3; one > 0; one--) {
			if (rand() % 2) {
				input[size] = 0;
				input[size + 1] = (uint8_t)(sizeof(seed) - 1);
				size += 2;
			}
			memcpy(input + size, seed, sizeof(seed) - 1);
			size += sizeof(seed) - 1;
		}
		for (int change = rand() % 6; change > 0; change--)
			input[(size_t)rand() % size] = (uint8_t)(rand() % 2 ? rand() : rand() % 2 ? 0xc0 : rand() % 64);
		if (!(rand() % 4))
			size = (size_t)rand() % (size + 1);
		LLVMFuzzerTestOneInput(input, size);
	}
	return 100;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
