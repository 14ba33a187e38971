/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes the recognisers of applications: any bytes of both sides, in a build with ASan and UBSan.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_recognise.c <sources of prefix, apps_* and inspect>.
 * Alone (-DFUZZ_ALONE): mutates beginnings of its own for the seconds given, from the seed given, and prints the seed
 * of a failing run before it starts it.
 * Each side is handed in as an allocation of exactly its size, so one byte beyond is a fault. Bytes of one side must be
 * called the same whether they come one by one or at once. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/sg_recognise.h"

/* Ask about the first bytes of each side, from where `known` stands. */
static void ask(const uint8_t *const data[2], const uint32_t len[2], uint8_t proto, struct sg_recognised *known)
{
	struct sg_prefix prefix = { .proto = proto };
	uint8_t *copies[2];

	for (int side = 0; side < 2; side++) {
		copies[side] = malloc(len[side] ? len[side] : 1);
		if (len[side])
			memcpy(copies[side], data[side], len[side]);
		prefix.data[side] = copies[side];
		prefix.len[side] = len[side];
	}
	sg_recognise(&prefix, known);
	free(copies[0]);
	free(copies[1]);
}

static void is_cut_alike(const uint8_t *const data[2], const uint32_t len[2], int side)
{
	struct sg_recognised pieces = { 0 }, whole = { 0 };
	uint32_t now[2] = { 0, 0 };

	for (; now[side] <= len[side]; now[side]++)
		ask(data, now, IPPROTO_TCP, &pieces);
	now[side] = len[side];
	ask(data, now, IPPROTO_TCP, &whole);
	if (pieces.app != whole.app || pieces.proof != whole.proof || pieces.open != whole.open) {
		fprintf(stderr, "\nside %d: in pieces %u, proof %u, open %llx; whole %u, %u, %llx\n", side, pieces.app,
			pieces.proof, (unsigned long long)pieces.open, whole.app, whole.proof,
			(unsigned long long)whole.open);
		for (uint32_t i = 0; i < len[side]; i++)
			fprintf(stderr, "\\x%02x", data[side][i]);
		abort();
	}
}

/* The input: TCP or UDP, the length of the initiator's bytes, then those of both. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sg_recognised known = { 0 };
	const uint8_t *sides[2];
	uint32_t len[2];

	if (size < 3 || size > 4096)
		return 0;
	len[0] = (uint32_t)data[1] << 8 | data[2];
	len[0] = len[0] < size - 3 ? len[0] : (uint32_t)size - 3;
	len[1] = (uint32_t)size - 3 - len[0];
	sides[0] = data + 3;
	sides[1] = sides[0] + len[0];
	ask(sides, len, data[0] & 1 ? IPPROTO_UDP : IPPROTO_TCP, &known);
	is_cut_alike(sides, len, 0);
	is_cut_alike(sides, len, 1);
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

#define SEED(text) { (const uint8_t *)(text), sizeof(text) - 1 }

/* Beginnings worth breaking: enough of each that mutations reach the code behind. */
static const struct {
	const uint8_t *data;
	size_t size;
} seeds[] = {
	SEED("GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"),
	SEED("HTTP/1.1 200 OK\r\nServer: a\r\n\r\n"),
	SEED("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
	SEED("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" "123456789012"),
	SEED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\x15\1\5\0\0\0\1\x83\x86\x5f\x10" "application/grpc"),
	SEED("\0\0\x10\1\x29\0\0\0\1\2\0\0\0\0\1\x83\x5f\x8b\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64\0\0"),
	SEED("\x16\3\1\0\x3d\1\0\0\x39\3\3" "12345678901234567890123456789012" "\0\0\2\x13\1\1\0\0\x0e\0\x10\0\6\0\4\3dot"
	     "\0\x2b\0\0"),
	SEED("\x16\3\3\0\x2a\2\0\0\x26\3\3" "12345678901234567890123456789012" "\0\x13\1\0"),
	SEED("\x80\x1c\1\3\1\0\3\0\0\0\x10" "abc" "1234567890123456"),
	SEED("SSH-2.0-a\r\n"), SEED("220 a ESMTP\r\n"), SEED("220 FTP\r\n"), SEED("EHLO a\r\n"), SEED("USER a\r\n"),
	SEED("* OK ready\r\n"), SEED("a CAPABILITY\r\n"), SEED("+OK ready\r\n"), SEED("+OK\r\n"), SEED("CAPA\r\n"),
	SEED("DESCRIBE rtsp://a RTSP/1.0\r\n"), SEED("INVITE sip:a SIP/2.0\r\n"), SEED("SIP/2.0 200 OK\r\n"),
	SEED("INFO {\"server_id\":\"a\"}\r\n"), SEED("CONNECT {}\r\n"), SEED("PING\r\n"), SEED("+PONG\r\n"),
	SEED("*2\r\n$3\r\nGET\r\n$1\r\na\r\n"), SEED("$3\r\nabc\r\n"), SEED("get a\r\n"), SEED("set a 0 0 5\r\nhello\r\n"),
	SEED("\x80\0\0\3\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0abc"), SEED("\0\1\0\0\0\1\0\0stats\r\n"),
	SEED("\xc3\0\0\0\1\x08" "12345678" "\5" "12345" "\0\x40\x20" "12345678901234567890123456789012"),
	SEED("\x0d" "12345678" "Q043\1"), SEED("\xc3Q046\x50" "12345678"),
#include "recognise_seeds.h"
};

/* One or two beginnings of a side, some bytes of them changed, or cut off. */
static size_t make_side(uint8_t *out)
{
	size_t size = 0;

	for (int i = rand() % 8 ? 1 : 2; i > 0; i--) {
		size_t one = (size_t)rand() % (sizeof(seeds) / sizeof(*seeds));

		memcpy(out + size, seeds[one].data, seeds[one].size);
		size += seeds[one].size;
	}
	for (int i = rand() % 4; i > 0; i--)
		out[(size_t)rand() % size] = (uint8_t)(rand() % 2 ? rand() : rand() % 5);
	if (!(rand() % 4))
		size = (size_t)rand() % (size + 1);
	return size;
}

static unsigned int make_and_run(void)
{
	static uint8_t input[4096];

	for (int i = 0; i < 100; i++) {
		size_t asks = make_side(input + 3), size = asks;

		input[0] = (uint8_t)rand();
		input[1] = (uint8_t)(asks >> 8);
		input[2] = (uint8_t)asks;
		if (!(rand() % 8)) {
			memset(input + 3 + size, 0, 1250);
			size += 1250;
		}
		size += rand() % 2 ? make_side(input + 3 + size) : 0;
		LLVMFuzzerTestOneInput(input, size + 3);
	}
	return 100;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
