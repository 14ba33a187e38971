/* SPDX-License-Identifier: MIT */
/* Paced 64-byte UDP datagrams, and a receiver that counts them.
 *
 *   bench_udp receive PORT
 *   bench_udp send ADDRESS PORT RATE SECONDS     RATE in packets/s, 0: as fast as it goes
 *
 * The sender prints {"sent": N, "received": N, "seconds": S}. Before the first datagram it asks the
 * receiver for its count, and at the end again: so neighbours are known and the flow is decided
 * before anything is counted. Pacing sleeps (a spinning sender would take a whole core from the
 * path that is measured), and the receive buffer outlasts the scheduling pauses of a receiver, so
 * that what is lost was lost on the way.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE 64
#define BATCH 64
#define QUANTUM_NS 250000
#define BUFFER_BYTES (2 << 20)	/* 25 ms at 200,000 packets/s */

struct datagram {
	uint32_t run;
	uint32_t query;			/* 1: answer with `count` */
	uint64_t count;
	uint8_t rest[SIZE - 16];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec t = { ns / 1000000000, ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void receive(uint16_t port)
{
	static struct datagram datagrams[BATCH];
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in from[BATCH];
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec vectors[BATCH];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = BUFFER_BYTES;
	uint64_t count = 0;
	uint32_t run = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "receiving on port %u", port);
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){ &datagrams[i], SIZE };
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_name = &from[i];
	}
	for (;;) {
		for (int i = 0; i < BATCH; i++)
			messages[i].msg_hdr.msg_namelen = sizeof(from[i]);
		int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			err(1, "recvmmsg");
		}
		for (int i = 0; i < got; i++) {
			struct datagram *d = &datagrams[i];

			if (d->run != run) {
				run = d->run;
				count = 0;
			}
			if (!d->query) {
				count++;
				continue;
			}
			d->count = count;
			/* A lost answer is asked for again. */
			(void)!sendto(fd, d, SIZE, MSG_DONTWAIT, (struct sockaddr *)&from[i],
				      sizeof(from[i]));
		}
	}
}

/* The receiver's count of this run; waits for it at most 10 s. */
static uint64_t ask(int fd, uint32_t run)
{
	struct datagram d = { .run = run, .query = 1 }, answer;
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	for (int tries = 0; tries < 100; tries++) {
		if (send(fd, &d, SIZE, 0) != SIZE)
			err(1, "send");
		while (poll(&ready, 1, 100) > 0) {
			if (recv(fd, &answer, SIZE, 0) == SIZE && answer.run == run)
				return answer.count;
		}
	}
	errx(1, "the receiver does not answer");
}

static void drain(int fd)
{
	struct datagram d;

	while (recv(fd, &d, SIZE, MSG_DONTWAIT) >= 0)
		;
}

static void send_paced(const char *to, uint16_t port, double rate, double seconds)
{
	static struct datagram datagrams[BATCH];
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec vectors[BATCH];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = BUFFER_BYTES;
	uint32_t run = (uint32_t)(now_ns() ^ (uint64_t)getpid() << 16) | 1;
	uint64_t sent = 0;

	prctl(PR_SET_TIMERSLACK, 1);
	if (inet_pton(AF_INET, to, &address.sin_addr) != 1)
		errx(2, "%s is no IPv4 address", to);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "sending to %s", to);
	for (int i = 0; i < BATCH; i++) {
		datagrams[i].run = run;
		vectors[i] = (struct iovec){ &datagrams[i], SIZE };
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	ask(fd, run);
	ask(fd, run);
	drain(fd);

	uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), at = start;

	while ((at = now_ns()) < end) {
		uint64_t due = rate > 0 ? (uint64_t)((at - start) / 1e9 * rate) : sent + BATCH;

		while (sent < due) {
			unsigned int many = due - sent < BATCH ? due - sent : BATCH;
			int done = sendmmsg(fd, messages, many, 0);

			if (done < 0 && errno != EINTR && errno != ENOBUFS && errno != EAGAIN)
				err(1, "sendmmsg");
			if (done > 0)
				sent += done;
			/* A sender that cannot keep the rate must not run on past the end. */
			if (now_ns() >= end)
				break;
		}
		if (rate > 0)
			sleep_until(start + ((at - start) / QUANTUM_NS + 1) * QUANTUM_NS);
	}
	double took = (now_ns() - start) / 1e9;

	/* What is still queued on the way is not lost. */
	sleep_until(now_ns() + 100000000);
	printf("{\"sent\": %llu, \"received\": %llu, \"seconds\": %.6f}\n",
	       (unsigned long long)sent, (unsigned long long)ask(fd, run), took);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "receive"))
		receive(atoi(argv[2]));
	else if (argc == 6 && !strcmp(argv[1], "send"))
		send_paced(argv[2], atoi(argv[3]), atof(argv[4]), atof(argv[5]));
	else
		errx(2, "usage: receive PORT | send ADDRESS PORT RATE SECONDS");
	return 0;
}
