/* SPDX-License-Identifier: MIT */
/* Frames put on an interface as fast as one core goes: what the way behind it costs a packet.
 *
 *   inject sink PORT
 *   inject IFNAME DST-MAC SRC-MAC SRC-IP DST-IP PORT SECONDS
 *
 * On veth pairs the sender's core does all the work up to the receiving socket, so its time is the
 * packet's cost. A sink never reads: full, it wakes nobody. Prints {"sent": N, "ns": S}: the time for a
 * frame, as the median of many short stretches, so that what else the core did meanwhile is left out.
 * How many arrived is counted on the way by who asks, for the backlog of a core may overflow.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD 64
#define BATCH 32
#define STRETCH 8		/* batches */
#define STRETCHES 65536

struct frame {
	struct ether_header ethernet;
	struct iphdr ip;
	struct udphdr udp;
	uint8_t payload[PAYLOAD];
} __attribute__((packed));

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void sink(uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), least = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)))
		err(1, "binding to port %u", port);
	for (;;)
		pause();
}

static uint16_t header_sum(struct iphdr ip)
{
	uint16_t words[sizeof(ip) / 2];
	uint32_t sum = 0;

	memcpy(words, &ip, sizeof(ip));
	for (size_t i = 0; i < sizeof(ip) / 2; i++)
		sum += words[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void mac(const char *text, uint8_t *to)
{
	struct ether_addr *parsed = ether_aton(text);

	if (!parsed)
		errx(2, "%s is no MAC address", text);
	memcpy(to, parsed, ETH_ALEN);
}

static struct frame frame_of(char **argv)
{
	struct frame f = {
		.ethernet.ether_type = htons(ETHERTYPE_IP),
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP },
	};

	mac(argv[2], f.ethernet.ether_dhost);
	mac(argv[3], f.ethernet.ether_shost);
	if (inet_pton(AF_INET, argv[4], &f.ip.saddr) != 1 ||
	    inet_pton(AF_INET, argv[5], &f.ip.daddr) != 1)
		errx(2, "%s or %s is no IPv4 address", argv[4], argv[5]);
	f.ip.tot_len = htons(sizeof(f) - sizeof(f.ethernet));
	f.ip.check = header_sum(f.ip);
	f.udp.source = f.udp.dest = htons(atoi(argv[6]));
	f.udp.len = htons(sizeof(f.udp) + PAYLOAD);
	return f;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN };
	struct mmsghdr messages[BATCH] = { 0 };
	unsigned long long sent = 0;
	struct iovec vector;
	struct frame f;
	static double stretches[STRETCHES];
	double at, end;
	int fd, many = 0;

	if (argc == 3 && !strcmp(argv[1], "sink"))
		sink(atoi(argv[2]));
	if (argc != 8)
		errx(2, "usage: sink PORT | IFNAME DST-MAC SRC-MAC SRC-IP DST-IP PORT SECONDS");
	f = frame_of(argv);
	vector = (struct iovec){ &f, sizeof(f) };
	memcpy(to.sll_addr, f.ethernet.ether_dhost, ETH_ALEN);
	to.sll_ifindex = if_nametoindex(argv[1]);
	/* Protocol 0: nothing is received here. */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	/* Past the filters of egress, as the engine: nobody else may send on vth. */
	if (!to.sll_ifindex || fd < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &(int){ 1 }, sizeof(int)))
		err(1, "sending on %s", argv[1]);
	for (int i = 0; i < BATCH; i++) {
		messages[i].msg_hdr.msg_iov = &vector;
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_name = &to;
		messages[i].msg_hdr.msg_namelen = sizeof(to);
	}
	at = now();
	end = at + atof(argv[7]);
	while (at < end && many < STRETCHES) {
		unsigned long long before = sent;
		double since = at;

		for (int i = 0; i < STRETCH; i++) {
			int done = sendmmsg(fd, messages, BATCH, 0);

			if (done > 0)
				sent += done;
			/* Should the kernel's own thread have the backlog, it is on this core too. */
			sched_yield();
		}
		at = now();
		if (sent > before)
			stretches[many++] = (at - since) * 1e9 / (sent - before);
	}
	if (!many)
		errx(1, "nothing could be sent on %s", argv[1]);
	qsort(stretches, many, sizeof(*stretches), by_size);
	printf("{\"sent\": %llu, \"ns\": %.1f}\n", sent, stretches[many / 2]);
	return 0;
}
