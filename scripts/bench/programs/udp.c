/* SPDX-License-Identifier: MIT */
/* Paced 64-byte UDP datagrams, and a receiver that counts them.
 *
 *   udp receive PORT
 *   udp send ADDRESS PORT RATE SECONDS SENDERS
 *
 * RATE is in packets/s, of all SENDERS (threads with a flow each) together; 0: as fast as it goes.
 * Several, because one sender's core may be what limits a path that is not at its end.
 * `send` prints {"sent": N, "received": N, "seconds": S}. Before the first datagram each sender asks
 * the receiver for its count, and at the end one asks again: so neighbours are known and the flows
 * are decided before anything is counted. Pacing sleeps (a spinning sender would take a whole core
 * from the path that is measured), and the receive buffer outlasts the scheduling pauses of a
 * receiver, so that what is lost was lost on the way.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
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
#define MAX_SENDERS 8
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

/* One sender: a socket, so a flow, of its own. */
struct sender {
	int fd;
	uint32_t run;
	double rate;
	uint64_t start;
	uint64_t end;
	uint64_t sent;
	pthread_t thread;
};

static int connected(const char *to, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = BUFFER_BYTES;

	if (inet_pton(AF_INET, to, &address.sin_addr) != 1)
		errx(2, "%s is no IPv4 address", to);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "sending to %s", to);
	return fd;
}

static void *send_paced(void *argument)
{
	struct sender *me = argument;
	struct datagram d = { .run = me->run };
	struct iovec vector = { &d, SIZE };
	struct mmsghdr messages[BATCH] = { 0 };
	uint64_t at;

	prctl(PR_SET_TIMERSLACK, 1);
	for (int i = 0; i < BATCH; i++) {
		messages[i].msg_hdr.msg_iov = &vector;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	sleep_until(me->start);
	while ((at = now_ns()) < me->end) {
		double elapsed = (at - me->start) / 1e9;
		uint64_t due = me->rate > 0 ? (uint64_t)(elapsed * me->rate) : me->sent + BATCH;

		while (me->sent < due) {
			unsigned int many = due - me->sent < BATCH ? due - me->sent : BATCH;
			int done = sendmmsg(me->fd, messages, many, 0);

			if (done < 0 && errno != EINTR && errno != ENOBUFS && errno != EAGAIN)
				err(1, "sendmmsg");
			if (done > 0)
				me->sent += done;
			/* A sender that cannot keep the rate must not run on past the end. */
			if (now_ns() >= me->end)
				break;
		}
		if (me->rate > 0)
			sleep_until(me->start +
				    ((at - me->start) / QUANTUM_NS + 1) * QUANTUM_NS);
	}
	return NULL;
}

static void send_all(const char *to, uint16_t port, double rate, double seconds, int count)
{
	struct sender senders[MAX_SENDERS] = { 0 };
	uint32_t run = (uint32_t)(now_ns() ^ (uint64_t)getpid() << 16) | 1;
	uint64_t sent = 0, start;

	if (count < 1 || count > MAX_SENDERS)
		errx(2, "1 to %d senders", MAX_SENDERS);
	for (int i = 0; i < count; i++) {
		senders[i].fd = connected(to, port);
		ask(senders[i].fd, run);
		ask(senders[i].fd, run);
		drain(senders[i].fd);
	}
	start = now_ns() + 20000000;
	for (int i = 0; i < count; i++) {
		senders[i].run = run;
		senders[i].rate = rate / count;
		senders[i].start = start;
		senders[i].end = start + (uint64_t)(seconds * 1e9);
		if (pthread_create(&senders[i].thread, NULL, send_paced, &senders[i]))
			errx(1, "no thread to be had");
	}
	for (int i = 0; i < count; i++) {
		pthread_join(senders[i].thread, NULL);
		sent += senders[i].sent;
	}
	double took = (now_ns() - start) / 1e9;

	/* What is still queued on the way is not lost. */
	sleep_until(now_ns() + 100000000);
	printf("{\"sent\": %llu, \"received\": %llu, \"seconds\": %.6f}\n",
	       (unsigned long long)sent, (unsigned long long)ask(senders[0].fd, run), took);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "receive"))
		receive(atoi(argv[2]));
	else if (argc == 7 && !strcmp(argv[1], "send"))
		send_all(argv[2], atoi(argv[3]), atof(argv[4]), atof(argv[5]), atoi(argv[6]));
	else
		errx(2, "usage: receive PORT | send ADDRESS PORT RATE SECONDS SENDERS");
	return 0;
}
