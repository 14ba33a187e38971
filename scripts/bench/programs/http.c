/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 as programs speak it, as small as it can be, so that the path is what is measured.
 *
 *   http serve PORT
 *   http keep|each|bulk ADDRESS PORT SECONDS CLIENTS
 *
 * keep: one GET after the other on a connection that stays. each: connect, GET, answer, close. bulk: one GET, whose answer is
 * a body that lasts as long. CLIENTS threads with a connection each.
 * Prints {"bytes": N, "times": N, "seconds": S}: of bodies, and of answers.
 *
 * The server closes first in `each`, so that its side keeps the ended connections.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "streams.h"

#define ROOM 8192
#define BULK (128 << 10)
#define MAX_CLIENTS 64

enum kind { KEEP, EACH, BULKY, KINDS };
static const char *const kinds[KINDS] = { "keep", "each", "bulk" };
static const char *const paths[KINDS] = { "/api/keep", "/api/each", "/api/bulk" };
static const char small[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";
static const char last[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
static const char endless[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

struct client {
	pthread_t thread;
	uint64_t bytes;
	uint64_t times;
	uint64_t ns;
	const char *failed;
	int reason;
};

static struct sockaddr_in server = { .sin_family = AF_INET };
static enum kind chosen;
static uint64_t duration_ns;
static char request[512];

static int say(int fd, const char *text, size_t size)
{
	return send(fd, text, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Read until `end` is there; its length from the beginning, or 0. */
static size_t read_until(int fd, char *room, const char *end)
{
	size_t len = 0;
	char *found;

	while (len < ROOM - 1) {
		ssize_t got = recv(fd, room + len, ROOM - 1 - len, 0);

		if (got <= 0)
			return 0;
		len += (size_t)got;
		room[len] = 0;
		found = strstr(room, end);
		if (found)
			return (size_t)(found - room) + strlen(end);
	}
	return 0;
}

static void pour(int fd)
{
	static const char body[BULK];

	while (send(fd, body, BULK, MSG_NOSIGNAL) > 0)
		;
}

static void *answer(void *argument)
{
	int fd = (int)(intptr_t)argument;
	char room[ROOM];

	options_of(fd);
	while (read_until(fd, room, "\r\n\r\n")) {
		if (strstr(room, paths[BULKY])) {
			if (say(fd, endless, sizeof(endless) - 1))
				pour(fd);
			break;
		}
		if (strstr(room, paths[EACH])) {
			say(fd, last, sizeof(last) - 1);
			break;
		}
		if (!say(fd, small, sizeof(small) - 1))
			break;
	}
	close(fd);
	return NULL;
}

static int reach(struct client *client)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	options_of(fd);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&server, sizeof(server)))
		return fd;
	client->failed = "connect";
	client->reason = errno;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void drain(struct client *client, int fd, uint64_t end)
{
	char *buffer = malloc(BULK);
	ssize_t got = 0;

	if (!buffer)
		errx(1, "no memory");
	while (now_ns() < end && (got = recv(fd, buffer, BULK, 0)) > 0)
		client->bytes += (uint64_t)got;
	if (got <= 0)
		client->failed = "the body ended";
	free(buffer);
}

static int ask(struct client *client, int fd)
{
	char room[ROOM];

	if (say(fd, request, strlen(request)) && read_until(fd, room, "hello\n")) {
		client->times++;
		return 1;
	}
	client->failed = "no answer";
	client->reason = errno;
	return 0;
}

static void *run(void *argument)
{
	struct client *client = argument;
	uint64_t start = now_ns(), end = start + duration_ns;
	int fd = chosen == EACH ? -1 : reach(client);
	char rest;

	if (chosen == BULKY && fd >= 0 && say(fd, request, strlen(request)))
		drain(client, fd, end);
	while (chosen != BULKY && !client->failed && now_ns() < end) {
		if (chosen == EACH && (fd = reach(client)) < 0)
			break;
		if (!ask(client, fd))
			break;
		if (chosen == EACH) {
			(void)!recv(fd, &rest, 1, 0);
			close(fd);
			fd = -1;
		}
	}
	client->ns = now_ns() - start;
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void measure(int count)
{
	struct client clients[MAX_CLIENTS] = { 0 };
	uint64_t bytes = 0, times = 0, ns = 0;

	for (int i = 0; i < count; i++)
		if (pthread_create(&clients[i].thread, NULL, run, &clients[i]))
			errx(1, "no thread to be had");
	for (int i = 0; i < count; i++) {
		pthread_join(clients[i].thread, NULL);
		if (clients[i].failed)
			errx(1, "%s: %s", clients[i].failed, strerror(clients[i].reason));
		bytes += clients[i].bytes;
		times += clients[i].times;
		if (clients[i].ns > ns)
			ns = clients[i].ns;
	}
	printf("{\"bytes\": %llu, \"times\": %llu, \"seconds\": %.6f}\n", (unsigned long long)bytes,
	       (unsigned long long)times, ns / 1e9);
}

int main(int argc, char **argv)
{
	int count;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]), answer);
	if (argc != 6)
		errx(2, "usage: serve PORT | keep|each|bulk ADDRESS PORT SECONDS CLIENTS");
	while (chosen < KINDS && strcmp(argv[1], kinds[chosen]))
		chosen++;
	count = atoi(argv[5]);
	if (chosen == KINDS || inet_pton(AF_INET, argv[2], &server.sin_addr) != 1 || count < 1 || count > MAX_CLIENTS)
		errx(2, "no such kind, address or number of clients");
	server.sin_port = htons(atoi(argv[3]));
	duration_ns = (uint64_t)(atof(argv[4]) * 1e9);
	snprintf(request, sizeof(request), "GET %s?n=1 HTTP/1.1\r\nHost: server.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n",
		 paths[chosen]);
	measure(count);
	return 0;
}
