/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes the detectors of threats in payload: any bytes of both sides, and any DNS message, in a build with ASan and UBSan.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_threats.c <sources of payload>.
 * Alone (-DFUZZ_ALONE): as fuzz_recognise.c.
 * Each side is handed in as an allocation of exactly its size, so one byte beyond is a fault. What is found of a side's first
 * bytes must be found of more of them, too. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/sg_apps.h"
#include "payload/sg_payload_threats.h"

static const uint8_t apps[] = { SG_APP_NONE, SG_APP_HTTP, SG_APP_DNS };

static uint8_t *copy(const uint8_t *data, uint32_t len)
{
	uint8_t *made = malloc(len ? len : 1);

	if (len)
		memcpy(made, data, len);
	return made;
}

static uint64_t ask(const uint8_t *const data[2], const uint32_t len[2], uint8_t app)
{
	struct sg_prefix prefix = { .proto = 6 };
	uint8_t *copies[2];
	uint64_t found;
	int more;

	for (int side = 0; side < 2; side++) {
		copies[side] = copy(data[side], len[side]);
		prefix.data[side] = copies[side];
		prefix.len[side] = len[side];
	}
	found = sg_payload_threats(&prefix, app, &more);
	free(copies[0]);
	free(copies[1]);
	return found;
}

static void stays_found(const uint8_t *const data[2], const uint32_t len[2], uint8_t app)
{
	uint64_t whole = ask(data, len, app), some;
	uint32_t now[2];

	for (int side = 0; side < 2; side++) {
		now[!side] = len[!side];
		for (now[side] = 0; now[side] < len[side]; now[side]++) {
			some = ask(data, now, app);
			if (!(some & ~whole))
				continue;
			fprintf(stderr, "\nside %d, %u bytes: %llx, all: %llx\n", side, now[side],
				(unsigned long long)some, (unsigned long long)whole);
			abort();
		}
	}
}

static void ask_dns(const uint8_t *data, uint32_t len)
{
	uint8_t *message = copy(data, len);
	struct sg_dns_name name;

	sg_payload_dns(message, len, &name);
	sg_dns_name_is_data(&name);
	free(message);
}

/* The input: the application, the length of the initiator's bytes, then those of both. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *sides[2];
	uint32_t len[2];

	if (size < 3 || size > 2048)
		return 0;
	len[0] = (uint32_t)data[1] << 8 | data[2];
	len[0] = len[0] < size - 3 ? len[0] : (uint32_t)size - 3;
	len[1] = (uint32_t)size - 3 - len[0];
	sides[0] = data + 3;
	sides[1] = sides[0] + len[0];
	stays_found(sides, len, apps[data[0] % sizeof(apps)]);
	ask_dns(sides[0], len[0]);
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

#define SEED(text) { (const uint8_t *)(text), sizeof(text) - 1 }

static const struct {
	const uint8_t *data;
	size_t size;
} seeds[] = {
	SEED("\x16\3\1\0\x14\1\0\0\x10\3\3" "12345678901234"),
	SEED("\x16\3\1\0\x2a\2\0\0\x26\3\1" "12345678901234567890123456789012" "\0\0\5\0"),
	SEED("\x18\3\1\0\3\1\x40\0"), SEED("\x14\3\3\0\1\1"), SEED("\x15\3\3\0\2\1\0"),
	SEED("\x80\x22\1\0\2\0\x09\0\0\0\x10" "123456789" "1234567890123456"),
	SEED("\x80\x23\4\0\1\0\2" "123456789012345678901234567890"),
	SEED("SSH-1.5-a\r\n"), SEED("SSH-1.99-a\r\n"), SEED("SSH-2.0-a\r\n"),
	SEED("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: -6, 7\r\n\r\nhello"),
	SEED("\0\7\1\0\0\1\0\1\0\0\0\0\1a\7example\0\0\xfc\0\1\xc0\x0c\0\1\0\1\0\0\0\1\0\4abcd"),
	SEED("\0\7\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"),
	SEED("\0\x13\0\7\1\0\0\1\0\0\0\0\0\0\1a\0\0\x0a\0\1"),
};

static size_t make_side(uint8_t *out)
{
	size_t size = 0;

	for (int i = rand() % 4; i >= 0; i--) {
		size_t one = (size_t)rand() % (sizeof(seeds) / sizeof(*seeds));

		memcpy(out + size, seeds[one].data, seeds[one].size);
		size += seeds[one].size;
	}
	for (int i = rand() % 4; i > 0; i--)
		out[(size_t)rand() % size] = (uint8_t)(rand() % 2 ? rand() : rand() % 5);
	return rand() % 4 ? size : (size_t)rand() % (size + 1);
}

static unsigned int make_and_run(void)
{
	static uint8_t input[2048];

	for (int i = 0; i < 100; i++) {
		size_t asks = make_side(input + 3), size = asks;

		input[0] = (uint8_t)rand();
		input[1] = (uint8_t)(asks >> 8);
		input[2] = (uint8_t)asks;
		size += rand() % 4 ? make_side(input + 3 + size) : 0;
		LLVMFuzzerTestOneInput(input, size + 3);
	}
	return 100;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
