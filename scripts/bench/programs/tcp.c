/* SPDX-License-Identifier: MIT */
/* TCP as programs use it, and what the machine spends on it.
 *
 *   tcp serve PORT
 *   tcp up|down|rr|crr ADDRESS PORT SECONDS FLOWS
 *
 * up, down: bulk from the client to the server, or back. rr: 64 bytes there and back, on connections
 * that stay. crr: connect, 64 bytes there and back, close. FLOWS threads with a connection each.
 * Prints {"bytes": N, "times": N, "seconds": S, "busy": S}. Bytes and seconds are the receiver's,
 * from its first byte to the end; busy is what all cores together were not idle meanwhile.
 *
 * The server closes first in crr, so that its side keeps the ended connections and the client does
 * not run out of ports.
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

#define SIZE 64
#define BULK (128 << 10)
#define MAX_FLOWS 64

enum kind { UP, DOWN, RR, CRR, KINDS };
static const char *const kinds[KINDS] = { "up", "down", "rr", "crr" };

struct message {
	uint32_t kind;
	uint32_t milliseconds;
	uint64_t bytes;
	uint64_t ns;
	uint8_t rest[SIZE - 24];
};

struct flow {
	pthread_t thread;
	uint64_t bytes;
	uint64_t ns;
	uint64_t times;
	const char *failed;
	int reason;
};

static struct sockaddr_in server = { .sin_family = AF_INET };
static enum kind chosen;
static uint32_t milliseconds;
static pthread_barrier_t together;

/* Seconds that all cores were not idle, since boot. */
static double busy(void)
{
	unsigned long long v[8] = { 0 };
	FILE *file = fopen("/proc/stat", "r");

	if (!file || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2,
			    v + 3, v + 4, v + 5, v + 6, v + 7) != 8)
		errx(1, "/proc/stat cannot be read");
	fclose(file);
	return (double)(v[0] + v[1] + v[2] + v[5] + v[6]) / sysconf(_SC_CLK_TCK);
}

static int whole(int fd, struct message *m, int out)
{
	char *at = (char *)m;

	for (size_t left = SIZE; left;) {
		ssize_t done = out ? send(fd, at, left, MSG_NOSIGNAL) : recv(fd, at, left, 0);

		if (done <= 0)
			return 0;
		at += done;
		left -= done;
	}
	return 1;
}

static void pour(int fd, uint32_t ms)
{
	static const char zeros[BULK];
	uint64_t end = now_ns() + (uint64_t)ms * 1000000;

	while (now_ns() < end && send(fd, zeros, BULK, MSG_NOSIGNAL) > 0)
		;
	shutdown(fd, SHUT_WR);
}

static void drain(int fd, uint64_t *bytes, uint64_t *ns)
{
	char *buffer = malloc(BULK);
	uint64_t first = 0;
	ssize_t got;

	if (!buffer)
		errx(1, "no memory");
	*bytes = 0;
	while ((got = recv(fd, buffer, BULK, 0)) > 0) {
		if (!first)
			first = now_ns();
		*bytes += got;
	}
	*ns = first ? now_ns() - first : 0;
	free(buffer);
}

static void *answer(void *argument)
{
	int fd = (int)(intptr_t)argument;
	struct message m;

	options_of(fd);
	if (whole(fd, &m, 0)) {
		switch (m.kind) {
		case UP:
			drain(fd, &m.bytes, &m.ns);
			whole(fd, &m, 1);
			break;
		case DOWN:
			pour(fd, m.milliseconds);
			break;
		case RR:
			while (whole(fd, &m, 1) && whole(fd, &m, 0))
				;
			break;
		default:
			whole(fd, &m, 1);
		}
	}
	close(fd);
	return NULL;
}

static int reach(struct flow *flow)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	options_of(fd);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&server, sizeof(server)))
		return fd;
	flow->failed = "connect";
	flow->reason = errno;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void exchange(struct flow *flow, int fd, struct message *m)
{
	uint64_t start = now_ns(), end = start + (uint64_t)milliseconds * 1000000;

	while (now_ns() < end) {
		if (chosen == CRR && (fd = reach(flow)) < 0)
			break;
		if (!whole(fd, m, 1) || !whole(fd, m, 0)) {
			flow->failed = "no answer";
			flow->reason = errno;
		} else {
			flow->times++;
		}
		if (chosen == CRR) {
			/* Its end, then ours. */
			(void)!recv(fd, m, 1, 0);
			close(fd);
			m->kind = CRR;
		}
		if (flow->failed)
			break;
	}
	flow->ns = now_ns() - start;
}

static void *run(void *argument)
{
	struct flow *flow = argument;
	struct message m = { .kind = chosen, .milliseconds = milliseconds };
	int fd = chosen == CRR ? -1 : reach(flow);

	pthread_barrier_wait(&together);
	if (flow->failed)
		return NULL;
	if (chosen == RR || chosen == CRR) {
		exchange(flow, fd, &m);
	} else if (!whole(fd, &m, 1)) {
		flow->failed = "send";
		flow->reason = errno;
	} else if (chosen == DOWN) {
		drain(fd, &flow->bytes, &flow->ns);
	} else {
		pour(fd, milliseconds);
		if (!whole(fd, &m, 0)) {
			flow->failed = "no count from the server";
			flow->reason = errno;
		}
		flow->bytes = m.bytes;
		flow->ns = m.ns;
	}
	if (chosen != CRR)
		close(fd);
	return NULL;
}

static void measure(int count)
{
	struct flow flows[MAX_FLOWS] = { 0 };
	uint64_t bytes = 0, times = 0, ns = 0;
	double before;

	pthread_barrier_init(&together, NULL, count + 1);
	for (int i = 0; i < count; i++)
		if (pthread_create(&flows[i].thread, NULL, run, &flows[i]))
			errx(1, "no thread to be had");
	before = busy();
	pthread_barrier_wait(&together);
	for (int i = 0; i < count; i++) {
		pthread_join(flows[i].thread, NULL);
		if (flows[i].failed)
			errx(1, "%s: %s", flows[i].failed, strerror(flows[i].reason));
		bytes += flows[i].bytes;
		times += flows[i].times;
		if (flows[i].ns > ns)
			ns = flows[i].ns;
	}
	printf("{\"bytes\": %llu, \"times\": %llu, \"seconds\": %.6f, \"busy\": %.2f}\n",
	       (unsigned long long)bytes, (unsigned long long)times, ns / 1e9, busy() - before);
}

int main(int argc, char **argv)
{
	int count;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]), answer);
	if (argc != 6)
		errx(2, "usage: serve PORT | up|down|rr|crr ADDRESS PORT SECONDS FLOWS");
	while (chosen < KINDS && strcmp(argv[1], kinds[chosen]))
		chosen++;
	count = atoi(argv[5]);
	if (chosen == KINDS || inet_pton(AF_INET, argv[2], &server.sin_addr) != 1 || count < 1 ||
	    count > MAX_FLOWS)
		errx(2, "no such kind, address or number of flows");
	server.sin_port = htons(atoi(argv[3]));
	milliseconds = atof(argv[4]) * 1000;
	measure(count);
	return 0;
}
