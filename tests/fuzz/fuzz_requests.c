/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes the requests of HTTP/1 and HTTP/2 connections: any segments of a client, in a build with ASan and UBSan, beside two
 * servers.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_requests.c <sources of stream, http, http2 and look>.
 * Alone (-DFUZZ_ALONE): makes rows of segments for the seconds given, from the seed given, and prints the seed of a
 * failing run before it starts it.
 * Of a byte that comes twice one server takes the first copy, the other the last. Both get the segments that pass alone,
 * and must read the same requests out of them, of which none is denied. Segments are handed in as allocations of exactly
 * their size. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "look/sg_requests.h"

enum { FIRST = 0xffffff00, COMMAND = 6, TEXT_MAX = 6000, SEGMENT_MAX = 700, SERVERS = 2, REQUESTS = 256 };

struct server {
	uint8_t bytes[TEXT_MAX];
	uint8_t has[TEXT_MAX];
};

static uint8_t text[TEXT_MAX];
static uint32_t text_len;
static int is_http2;
static struct sg_streams *servers_memory;

static void must(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "\nnot so: %s\n", what);
	abort();
}

/* Whether a reading of the request's path begins with /admin. */
static int is_denied(const struct sg_http_request *request)
{
	for (int i = 0; i < request->readings; i++)
		if (request->paths[i].len >= 6 && !memcmp(request->paths[i].at, "/admin", 6))
			return 1;
	return 0;
}

static int judge(void *ctx, const struct sg_http_request *request)
{
	uint32_t *judged = ctx;

	++*judged;
	return is_denied(request);
}

static uint32_t contiguous(const struct server *server)
{
	uint32_t count = 0;

	while (count < text_len && server->has[count])
		count++;
	return count;
}

/* Read what the server has in order, as it reads it. Returns how many requests that is; they end at ends[]. */
static uint32_t serve(const struct server *server, uint32_t *ends)
{
	static struct sg_http_request request;
	struct sg_http_reader reader = { 0 };
	struct sg_http2_reader streams = { 0 };
	uint32_t count = contiguous(server), found = 0;
	uint64_t at = 0;

	if (is_http2 && sg_http2_begin(&streams, servers_memory, 0))
		abort();
	while (at < count) {
		uint32_t left = count - (uint32_t)at;
		uint8_t *copy = malloc(left);
		struct sg_http_step step;

		memcpy(copy, server->bytes + at, left);
		sg_http2_segment(&streams);
		step = is_http2 ? sg_http2_read(&streams, copy, left, &request) : sg_http_read(&reader, copy, left, &request);
		must(step.unit != SG_HTTP_WRONG, "only requests cross");
		if (step.unit == SG_HTTP_REQUEST) {
			must(!is_denied(&request), "no denied request crosses");
			if (found < REQUESTS)
				ends[found++] = (uint32_t)at + step.used;
		}
		free(copy);
		if (step.unit == SG_HTTP_MORE)
			break;
		at += step.used + step.body;
	}
	sg_http2_end(&streams);
	return found;
}

static void take(struct server servers[SERVERS], uint32_t acked, uint32_t at, const uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		if (at + i < acked)
			continue;
		for (int s = 0; s < SERVERS; s++) {
			if (s && servers[s].has[at + i])
				servers[s].bytes[at + i] = data[i];
			if (!servers[s].has[at + i])
				servers[s].bytes[at + i] = data[i];
			servers[s].has[at + i] = 1;
		}
	}
}

static void compare(const struct server servers[SERVERS], uint32_t judged)
{
	static uint32_t ends[SERVERS][REQUESTS];
	uint32_t found = serve(&servers[0], ends[0]);

	must(found == serve(&servers[1], ends[1]), "both servers read as many requests");
	must(!memcmp(ends[0], ends[1], found * sizeof(ends[0][0])), "and the same");
	must(found <= judged, "each was judged");
}

/* The input: a byte of options; what to send, of which each byte picks a part, up to a zero; then commands of six bytes: what it is, how far from
 * what is acknowledged (2), the length (2), and the place of a byte that differs. */
static const char *const parts[] = {
	"GET /one HTTP/1.1\r\nHost: a\r\n\r\n", "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n", "GET /admin HTTP/1.1\r\nHost: b\r\n\r\n....",
	"PUT /u HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nabcde\r\n", "11;x=y\r\n0\r\n\r\nGET / HTTP/\r\n",
	"0\r\n\r\n", "0\r\nX: y\r\n\r\n", "\r\n", "1f4\r\n", "GET /api/%2e%2e/admin HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET http://a/one?x HTTP/1.1\r\nHost: a:80\r\nUpgrade: websocket\r\n\r\n", "X: y\r\n", " ", "Content-Length: 2\r\n",
};

/* Frames, of which a stream's number is set as they are written. A table of names and values is what the blocks share: a field
 * that one of them adds is in others a number, or none. */
#define FRAME(type, flags, bytes) { sizeof(bytes) - 1, type, flags, bytes }

static const struct {
	uint32_t len;
	uint8_t type;
	uint8_t flags;
	const char *bytes;
} frames[] = {
	FRAME(1, 5, "\x82\x86\x41\x01" "a" "\x44\x04/one"), FRAME(1, 5, "\x82\x86\x41\x01" "a" "\x04\x06/admin"),
	FRAME(1, 4, "\x83\x86\x41\x01" "a" "\x44\x06/admix"), FRAME(1, 5, "\x82\x86\xbe\xbf"), FRAME(1, 5, "\x82\x86\xbf\xbe"),
	FRAME(1, 1, "\x82\x86\x41\x01" "a"), FRAME(9, 4, "\x44\x06/admin"), FRAME(9, 4, "\x04\x04/two"),
	FRAME(9, 0, "\x40\x01x\x01y"), FRAME(1, 13, "\x03\x82\x86\x41\x01" "a" "\x04\x02/p\0\0\0"),
	FRAME(1, 37, "\0\0\0\0\1\x82\x86\x04\x02/q\x66\x01" "b"), FRAME(0, 0, "\0\0\1\1\5\0\0\0\1\x82"), FRAME(0, 1, ""),
	FRAME(1, 5, "\x40\x01x\x01y"), FRAME(8, 0, "\0\0\0\1"), FRAME(6, 0, "12345678"), FRAME(4, 1, ""),
	FRAME(1, 5, "\x20\x3f\xe1\x1f\x82\x86\x04\x02/r"), FRAME(1, 5, "\x82\x86\x84\x40\x08x-header\x05value"),
	FRAME(3, 0, "\0\0\0\0"), FRAME(1, 5, "\x82\x82\x84"), FRAME(16, 9, "any"), FRAME(1, 5, "\x82\x86\x84\x66\x01" "b\x41\x01" "a"),
};

static void put(const void *bytes, uint32_t len)
{
	if (text_len + len > TEXT_MAX)
		return;
	memcpy(text + text_len, bytes, len);
	text_len += len;
}

static void write_frames(const uint8_t *input, size_t *at, size_t size)
{
	static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	uint8_t stream = 255;

	text_len = 0;
	put(start, sizeof(start) - 1);
	for (; *at < size && input[*at]; ++*at) {
		uint32_t i = input[*at] % (sizeof(frames) / sizeof(*frames));
		uint8_t head[9] = { 0 };

		stream = (uint8_t)(frames[i].type == 1 ? stream + 2 : stream);
		head[2] = (uint8_t)frames[i].len;
		head[3] = frames[i].type;
		head[4] = frames[i].flags;
		head[8] = frames[i].type == 4 || frames[i].type == 6 ? 0 : stream;
		put(head, sizeof(head));
		put(frames[i].bytes, frames[i].len);
	}
}

static void write_text(const uint8_t *input, size_t *at, size_t size)
{
	text_len = 0;
	for (; *at < size && input[*at]; ++*at) {
		const char *part = parts[input[*at] % (sizeof(parts) / sizeof(*parts))];
		size_t len = strlen(part);

		if (text_len + len > TEXT_MAX)
			break;
		memcpy(text + text_len, part, len);
		text_len += (uint32_t)len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct server servers[SERVERS];
	struct sg_streams *all;
	struct sg_requests requests;
	uint32_t acked = 0, judged = 0;
	size_t at = 1;
	int over = 0;

	is_http2 = size && input[0] & 2;
	if (is_http2)
		write_frames(input, &at, size);
	else
		write_text(input, &at, size);
	all = sg_streams_new(size && input[0] & 1 ? is_http2 ? 4000 : 1500 : 1 << 20);
	servers_memory = sg_streams_new(1 << 20);
	memset(servers, 0, sizeof(servers));
	if (sg_requests_begin(all, &requests, FIRST, 0) || sg_inflate_load(SG_INFLATE_LIBRARY) ||
	    (is_http2 && sg_requests_turn_http2(all, &requests, 0)))
		abort();
	for (at++; !over && at + COMMAND <= size; at += COMMAND) {
		uint8_t what = input[at], *data;
		uint32_t from = acked + (uint32_t)(input[at + 1] << 8 | input[at + 2]) % 900;
		uint32_t len = (uint32_t)(input[at + 3] << 8 | input[at + 4]) % SEGMENT_MAX;
		enum sg_requests_say said;

		from = from > 100 && what & 8 ? from - 100 : from;
		if (what & 1)
			from = acked;
		if (from >= text_len)
			continue;
		len = len < text_len - from ? len : text_len - from;
		data = malloc(len ? len : 1);
		memcpy(data, text + from, len);
		if (len && !(what & 0xf0))
			data[input[at + 5] % len] ^= 1 << (what >> 1 & 3);
		said = sg_requests_add(all, &requests, FIRST + from, data, len, judge, &judged);
		if (said == SG_REQUESTS_PASS)
			take(servers, acked, from, data, len);
		/* A refused flow ends; one that differs ends, or its sender gives up. */
		over = said == SG_REQUESTS_REFUSED || said == SG_REQUESTS_WRONG || said == SG_REQUESTS_LOST;
		free(data);
		if (what & 4 && !over) {
			acked = contiguous(&servers[0]);
			sg_window_acknowledge(all, requests.window, FIRST + acked);
		}
		compare(servers, judged);
	}
	sg_requests_end(all, &requests);
	must(!sg_streams_bytes(all), "nothing is left");
	sg_streams_free(all);
	must(!sg_streams_bytes(servers_memory), "nor of the servers'");
	sg_streams_free(servers_memory);
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

static unsigned int make_and_run(void)
{
	static uint8_t input[1 << 11];
	size_t count = 2 + (size_t)rand() % 24, commands = (size_t)rand() % 200, size;

	input[0] = (uint8_t)((rand() % 8 ? 0 : 1) | (rand() % 2 ? 2 : 0));
	for (size_t i = 1; i < count; i++)
		input[i] = (uint8_t)(rand() % 255 + 1);
	if (input[0] & 2 ? rand() % 4 != 0 : 0)
		for (size_t i = 1; i < count; i++)
			input[i] = (uint8_t)(23 + (rand() % 3 ? input[i] % 5 : input[i] % 23));
	else if (rand() % 4)
		for (size_t i = 1; i < count; i++)
			input[i] = (uint8_t)(16 + (input[i] % 3 ? 0 : rand() % 3 * 2));
	input[count] = 0;
	size = count + 1 + commands * COMMAND;
	for (size_t i = count + 1; i < size; i++)
		input[i] = (uint8_t)rand();
	for (size_t i = count + 1; i < size; i += COMMAND)
		input[i + 3] = rand() % 3 ? 0 : input[i + 3];
	LLVMFuzzerTestOneInput(input, size);
	return 1;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
