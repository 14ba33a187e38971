/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes what is told of a TLS handshake: any bytes of both sides, in a build with ASan and UBSan.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_tls_facts.c <sources of prefix, condition, apps_* and inspect>.
 * Alone (-DFUZZ_ALONE): mutates handshakes of its own for the seconds given, from the seed given, and prints the seed of a
 * failing run before it starts it.
 * Each side is handed in as an allocation of exactly its size, so one byte beyond is a fault. What was told for good must be
 * told of more bytes, too. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/sg_apps.h"
#include "inspect/sg_tell.h"

static struct sg_facts tell(const uint8_t *const data[2], const uint32_t len[2])
{
	struct sg_prefix prefix = { .proto = IPPROTO_TCP };
	struct sg_facts facts = { 0 };
	uint8_t *copies[2];

	for (int side = 0; side < 2; side++) {
		copies[side] = malloc(len[side] ? len[side] : 1);
		if (len[side])
			memcpy(copies[side], data[side], len[side]);
		prefix.data[side] = copies[side];
		prefix.len[side] = len[side];
	}
	sg_tell(&prefix, SG_APP_TLS, &facts);
	free(copies[0]);
	free(copies[1]);
	return facts;
}

static int is_sound(const struct sg_facts *facts)
{
	if (facts->open & facts->known || (facts->open && !facts->next) || facts->next > 2 || facts->sni_len > SG_NAME_MAX ||
	    facts->alpn_len > SG_FACTS_ALPN)
		return 0;
	for (uint32_t i = 0; i < facts->sni_len; i++)
		if (facts->sni[i] <= ' ' || facts->sni[i] >= 0x7f || (facts->sni[i] >= 'A' && facts->sni[i] <= 'Z'))
			return 0;
	for (uint32_t at = 0; at < facts->alpn_len; at += 1U + facts->alpn[at])
		if (at + 1U + facts->alpn[at] > facts->alpn_len)
			return 0;
	return 1;
}

/* The input: the length of the initiator's bytes, how much of each side comes first, then the bytes of both. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sg_facts first, whole;
	const uint8_t *sides[2];
	uint32_t len[2], now[2];

	if (size < 6 || size > 8192)
		return 0;
	len[0] = (uint32_t)data[0] << 8 | data[1];
	len[0] = len[0] < size - 6 ? len[0] : (uint32_t)size - 6;
	len[1] = (uint32_t)size - 6 - len[0];
	sides[0] = data + 6;
	sides[1] = sides[0] + len[0];
	for (int side = 0; side < 2; side++)
		now[side] = ((uint32_t)data[2 + 2 * side] << 8 | data[3 + 2 * side]) % (len[side] + 1);
	first = tell(sides, now);
	whole = tell(sides, len);
	if (!is_sound(&first) || !is_sound(&whole))
		abort();
	if (first.known && !first.next && memcmp(&first, &whole, sizeof(first))) {
		fprintf(stderr, "\nwith %u and %u bytes known %x, broken %x; with %u and %u known %x, broken %x, next %u\n", now[0],
			now[1], first.known, first.broken, len[0], len[1], whole.known, whole.broken, whole.next);
		abort();
	}
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

#define SEED(text) { (const uint8_t *)(text), sizeof(text) - 1 }
#define RANDOM "12345678901234567890123456789012"

/* Records of a client and of a server. */
static const struct {
	const uint8_t *data;
	size_t size;
} seeds[2][5] = {
	{
		SEED("\x16\3\1\0\x59\1\0\0\x55\3\3" RANDOM "\0\0\2\x13\1\1\0\0\x2a"
		     "\0\0\0\x0e\0\x0c\0\0\x09" "a.example" "\0\x10\0\x0b\0\x09\2h2\2\x1a\x1a\2h3" "\0\x2b\0\5\4\3\4\3\3"),
		SEED("\x16\3\1\0\x0a\1\0\0\x38\3\3" "1234\x16\3\1\0\x32" "5678901234567890123456789012"
		     "\0\0\2\x13\1\1\0\0\x0d" "\0\0\0\x09\0\7\0\0\4" "B.c."),
		SEED("\x16\3\1\0\x2d\1\0\0\x29\3\3" RANDOM "\0\0\2\x13\1\1\0"),
		SEED("\x14\3\3\0\1\1"),
		SEED("\x17\3\3\0\4" "data"),
	},
	{
		SEED("\x16\3\3\0\x32\2\0\0\x2e\3\3" RANDOM "\0\x13\1\0\0\6\0\x2b\0\2\3\4"),
		SEED("\x16\3\3\0\x2a\2\0\0\x26\3\2" RANDOM "\0\x13\1\0"),
		SEED("\x16\3\3\0\x32\2\0\0\x2e\3\3"
		     "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\2\x1e\x65\xb8\x91"
		     "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\7\x9e\x09\xe2\xc8\xa8\x33\x9c"
		     "\0\x13\1\0\0\6\0\x2b\0\2\3\4"),
		SEED("\x14\3\3\0\1\1"),
		SEED("\x15\3\3\0\2\2\x28"),
	},
};

/* Up to four records, some bytes of them changed, or cut off. */
static uint32_t make_side(uint8_t *out, int side)
{
	uint32_t size = 0;

	for (int i = 1 + rand() % 4; i > 0; i--) {
		int one = size ? rand() % 5 : rand() % 3;

		memcpy(out + size, seeds[side][one].data, seeds[side][one].size);
		size += (uint32_t)seeds[side][one].size;
	}
	for (int i = rand() % 3; i > 0; i--)
		out[(uint32_t)rand() % size] = (uint8_t)(rand() % 2 ? rand() : rand() % 5);
	return rand() % 4 ? size : (uint32_t)rand() % (size + 1);
}

static unsigned int make_and_run(void)
{
	static uint8_t input[8192];

	for (int i = 0; i < 100; i++) {
		uint32_t size = make_side(input + 6, 0);

		input[0] = (uint8_t)(size >> 8);
		input[1] = (uint8_t)size;
		for (int at = 2; at < 6; at++)
			input[at] = (uint8_t)rand();
		size += make_side(input + 6 + size, 1);
		LLVMFuzzerTestOneInput(input, size + 6);
	}
	return 100;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
