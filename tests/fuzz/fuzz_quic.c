/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes what is read of QUIC: any datagrams of both sides, and any frames of Initial packets, in a build with ASan and UBSan.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_quic.c <sources of prefix, condition, apps_crypt and quic>.
 * Alone (-DFUZZ_ALONE): mutates packets and frames of its own for the seconds given, from the seed given, and prints the seed
 * of a failing run before it starts it.
 * Each is handed in as an allocation of exactly its size, so one byte beyond is a fault. No memory may be left, and what is
 * told must be sound. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quic/sg_quic.h"

enum { SLOT = 1, PORT = 1 };

static struct sg_quics *quics;

static void begin(void)
{
	if (quics)
		return;
	quics = calloc(1, sizeof(*quics));
	if (!quics || sg_quics_init(quics, SLOT) || sg_quic_crypto_load())
		abort();
	quics->crypto = sg_quic_crypto_new();
	if (!quics->crypto)
		abort();
}

static void check(const struct sg_quic *quic)
{
	struct sg_facts facts = { 0 };

	sg_quic_facts(quic, &facts);
	if (facts.sni_len > SG_NAME_MAX || facts.alpn_len > SG_FACTS_ALPN || (facts.known & facts.open))
		abort();
}

/* The input: pieces, each after a byte of what it is and two of its length. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sg_quic *quic;

	begin();
	quic = sg_quic_get(quics, SLOT, PORT);
	while (size >= 3) {
		uint32_t len = (uint32_t)data[1] << 8 | data[2];
		uint8_t what = data[0] % 3, *copy;

		data += 3;
		size -= 3;
		len = len < size ? len : (uint32_t)size;
		copy = malloc(len ? len : 1);
		memcpy(copy, data, len);
		if (what == 0)
			sg_quic_frames(quics, quic, PORT, copy, len);
		else if (what == 1)
			sg_quic_client(quics, quic, PORT, copy, len);
		else if (len)
			sg_quic_server(quics, quic, PORT, copy, len);
		free(copy);
		check(quic);
		data += len;
		size -= len;
	}
	sg_quic_end(quics, SLOT, PORT);
	if (quics->bytes || quics->of_port[PORT])
		abort();
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

#define SEED(text) { (const uint8_t *)(text), sizeof(text) - 1 }
#define RANDOM "12345678901234567890123456789012"

static const struct {
	uint8_t what;
	struct { const uint8_t *data; size_t size; } text;
} seeds[] = {
	{ 0, SEED("\6\0\x3e\1\0\0\x3a\3\3" RANDOM "\0\0\2\x13\1\1\0\0\x0f" "\0\0\0\x0b\0\x09\0\0\6" "a.exam") },
	{ 0, SEED("\6\5\4abcd\0\1\6\0\5\1\0\0\x3a\3") },
	{ 0, SEED("\2\5\0\1\1\0\0\3\5\0\0\1\1\1\1") },
	{ 0, SEED("\6\x7f\xff\4abcd\x1c\0\0\0") },
	{ 1, SEED("\xc1\0\0\0\1\x08" "12345678\0\0\x40\x30" RANDOM RANDOM) },
	{ 1, SEED("\xd1\x6b\x33\x43\xcf\x08" "12345678\0\0\x40\x20" RANDOM "\xc1\0\0\0\1\0\0\0\x20" RANDOM) },
	{ 2, SEED("\xf0\0\0\0\1\0\4serv" RANDOM) },
	{ 2, SEED("\xe0\0\0\0\1\0\4serv\x20" RANDOM) },
	{ 2, SEED("\x80\0\0\0\0\0\0\0\0\0\1") },
};

static unsigned int make_and_run(void)
{
	static uint8_t input[8192];

	for (int i = 0; i < 100; i++) {
		uint32_t at = 0;

		for (int piece = 1 + rand() % 5; piece; piece--) {
			uint32_t one = (uint32_t)rand() % (sizeof(seeds) / sizeof(*seeds));
			uint32_t len = (uint32_t)seeds[one].text.size;

			memcpy(input + at + 3, seeds[one].text.data, len);
			for (int changes = rand() % 4; changes; changes--)
				input[at + 3 + (uint32_t)rand() % len] = (uint8_t)rand();
			if (rand() % 4 == 0)
				len = (uint32_t)rand() % (len + 1);
			input[at] = seeds[one].what;
			input[at + 1] = (uint8_t)(len >> 8);
			input[at + 2] = (uint8_t)len;
			at += 3 + len;
		}
		LLVMFuzzerTestOneInput(input, at);
	}
	return 100;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
