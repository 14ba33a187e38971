/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes the reader of a server's HTTP/1, and what decodes targets and forms: any bytes in any pieces, in a build with ASan
 * and UBSan.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_answers.c <sources of answer and http>.
 * Alone (-DFUZZ_ALONE): mutates answers of its own for the seconds given, from the seed given, and prints the seed of a failing
 * run before it starts it.
 * The first byte says which requests wait, the second how the others are cut. A unit is handed in as an allocation of exactly
 * what is there, so one byte beyond is a fault. The answers and their bodies are the same however the bytes are cut. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/sg_http_answers.h"
#include "http/sg_http_decode.h"

enum { INPUT_MAX = 4096 };

/* A server's side as far as it is read: bytes that are not taken, and a hash of what was. */
struct side {
	struct sg_http_answers reader;
	uint8_t rest[INPUT_MAX];
	size_t size;
	uint64_t body;
	uint64_t hash;
	int over;
};

static void note(struct side *side, uint64_t value)
{
	side->hash = side->hash * 1099511628211u + value;
}

static void drop(struct side *side, size_t bytes)
{
	memmove(side->rest, side->rest + bytes, side->size - bytes);
	side->size -= bytes;
}

static void take_body(struct side *side)
{
	size_t bytes = side->size < side->body ? side->size : (size_t)side->body;

	for (size_t i = 0; i < bytes; i++)
		note(side, side->rest[i]);
	if (side->body != SG_HTTP_TO_THE_END)
		side->body -= bytes;
	drop(side, bytes);
}

/* Read one unit. Returns whether there may be more. */
static int read_unit(struct side *side)
{
	struct sg_http_answer answer = { .status = 0 };
	struct sg_http_answer_step step;
	uint8_t *copy = malloc(side->size);

	memcpy(copy, side->rest, side->size);
	step = sg_http_answers_read(&side->reader, copy, (uint32_t)side->size, &answer);
	free(copy);
	if (step.used > side->size)
		abort();
	if (step.unit == SG_HTTP_ANSWER_MORE)
		return 0;
	note(side, step.unit);
	if (step.unit == SG_HTTP_ANSWER_WRONG || step.unit == SG_HTTP_ANSWER_SWITCHED) {
		side->over = 1;
		return 0;
	}
	if (step.unit == SG_HTTP_ANSWER_HEAD)
		note(side, (uint64_t)(answer.status << 8 | answer.coding << 4 | answer.chunked << 1 | answer.switches));
	note(side, step.last);
	side->body = step.body;
	drop(side, step.used);
	return 1;
}

static uint64_t read_all(uint8_t requests, const uint8_t *data, size_t size, uint32_t cuts)
{
	static const __u8 becomes[] = { SG_HTTP_STAYS, SG_HTTP_STAYS, SG_HTTP_TUNNEL, SG_HTTP_OTHER };
	static struct side side;

	memset(&side, 0, sizeof(side));
	for (int i = 0; i < 4; i++) {
		int kind = requests >> 2 * i & 3;

		if (sg_http_answers_expect(&side.reader, kind == 1, becomes[kind]))
			abort();
	}
	for (size_t at = 0; at < size && !side.over;) {
		size_t piece = cuts ? 1 + (cuts = cuts * 1103515245 + 12345) / 65536 % 40 : size;

		piece = piece < size - at ? piece : size - at;
		memcpy(side.rest + side.size, data + at, piece);
		side.size += piece;
		at += piece;
		while (side.size && !side.over) {
			if (side.body)
				take_body(&side);
			else if (!read_unit(&side))
				break;
		}
	}
	return side.hash;
}

static uint64_t decode_all(const uint8_t *data, size_t size, uint32_t cuts)
{
	struct sg_http_decoder decoder = { .lead = 0 };
	uint64_t hash = 0;

	for (size_t at = 0; at <= size;) {
		size_t piece = cuts ? 1 + (cuts = cuts * 1103515245 + 12345) / 65536 % 40 : size;
		uint8_t *out;
		uint32_t count;

		piece = piece < size - at ? piece : size - at;
		out = malloc(piece + SG_HTTP_DECODED_MORE);
		count = at < size ? sg_http_decode(&decoder, data + at, (uint32_t)piece, out) : sg_http_decode_end(&decoder, out);
		for (uint32_t i = 0; i < count; i++)
			hash = hash * 1099511628211u + out[i];
		free(out);
		at += at < size ? piece : 1;
	}
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > INPUT_MAX)
		return 0;
	if (read_all(data[0], data + 2, size - 2, 0) != read_all(data[0], data + 2, size - 2, data[1] + 1u))
		abort();
	if (decode_all(data + 2, size - 2, 0) != decode_all(data + 2, size - 2, data[1] + 1u))
		abort();
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

static const char *const seeds[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\nX: 1\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.0 404\r\n\r\nto the end",
	"HTTP/1.1 200 Established\r\n\r\n", "/a%2fb%252e%u0027%c0%ae+%%32%37%4",
};

static unsigned int make_and_run(void)
{
	static uint8_t input[INPUT_MAX];

	for (int i = 0; i < 500; i++) {
		size_t size = 2;

		input[0] = (uint8_t)rand();
		input[1] = (uint8_t)rand();
		for (int one = 1 + rand() % 6; one > 0; one--) {
			const char *seed = seeds[(size_t)rand() % (sizeof(seeds) / sizeof(seeds[0]))];

			memcpy(input + size, seed, strlen(seed));
			size += strlen(seed);
		}
		for (int change = rand() % 4; change > 0; change--)
			input[2 + (size_t)rand() % (size - 2)] = (uint8_t)(rand() % 2 ? "\r\n :;0aH%"[rand() % 9] : rand());
		LLVMFuzzerTestOneInput(input, size);
	}
	return 500;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
