/* SPDX-License-Identifier: MIT */
/* Very many short connections between namespaces in random order, and when each opened, or did not.
 *
 *   connection_load COUNT SEED AT-ONCE PATIENCE-MS OUT PORT…      on stdin a line for each namespace: PATH ADDRESS
 *
 * Each namespace serves each port: 64 bytes there and back, then the server closes. AT-ONCE: so many connections that
 * are younger than 0.1 s; those that nobody answers do not hold the others up. A child of the program serves. OUT gets
 * a struct record of each connection; times are CLOCK_MONOTONIC. Prints {"seconds": S}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE 64
#define MAX_PLACES 1024
#define MAX_PORTS 16
#define MAX_OPEN 262144
#define EVENTS 256
#define FRESH_NS 100000000ULL
#define SERVED_NS 15000000000ULL	/* what was cut off on its way is given up by then */

enum outcome { DONE = 0, REFUSED = 1, SILENT = 2, CUT = 3 };

struct record {
	uint16_t source, target;
	uint8_t port, outcome, pad[2];
	uint64_t started, opened, ended;	/* opened: 0, it did not */
};

struct place {
	int netns;
	struct in_addr address;
};

struct talk {
	struct record told;
	int fd;			/* -1: over */
	uint8_t got, fresh;
};

static struct place places[MAX_PLACES];
static uint16_t ports[MAX_PORTS];
static int place_count, port_count;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t random_state;

static uint32_t below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % limit;
}

static void go_to(int place)
{
	static int here = -1;

	if (here != place && setns(places[place].netns, CLONE_NEWNET))
		err(1, "entering namespace %d", place);
	here = place;
}

static void watch(int epoll, int fd, uint32_t events, uint64_t what)
{
	struct epoll_event event = { .events = events, .data.u64 = what };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) && epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event))
		err(1, "epoll");
}

/* --- the servers --- */

static uint64_t served_since[MAX_OPEN];
static uint8_t received[MAX_OPEN], listens[MAX_OPEN];

static void stop_serving(int fd)
{
	served_since[fd] = 0;
	close(fd);
}

static void take(int epoll, int listener, uint64_t now)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (fd >= MAX_OPEN)
			errx(1, "too many connections");
		served_since[fd] = now;
		received[fd] = 0;
		watch(epoll, fd, EPOLLIN, fd);
	}
}

static void answer(int fd)
{
	char bytes[SIZE];
	ssize_t got = recv(fd, bytes, SIZE - received[fd], 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got > 0 && (received[fd] += got) < SIZE)
		return;
	if (got > 0)
		(void)!send(fd, bytes, SIZE, MSG_NOSIGNAL);
	stop_serving(fd);
}

static void serve(int epoll)
{
	struct epoll_event events[EVENTS];
	uint64_t swept = now_ns();

	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS, 1000);
		uint64_t now = now_ns();

		for (int i = 0; i < count; i++) {
			int fd = (int)events[i].data.u64;

			if (listens[fd])
				take(epoll, fd, now);
			else
				answer(fd);
		}
		if (now - swept < 1000000000)
			continue;
		swept = now;
		for (int fd = 0; fd < MAX_OPEN; fd++)
			if (served_since[fd] && now - served_since[fd] > SERVED_NS)
				stop_serving(fd);
	}
}

static void listen_everywhere(int epoll)
{
	for (int place = 0; place < place_count; place++) {
		go_to(place);
		for (int port = 0; port < port_count; port++) {
			struct sockaddr_in at = {
				.sin_family = AF_INET, .sin_port = htons(ports[port]), .sin_addr = places[place].address,
			};
			int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

			if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
			    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 4096))
				err(1, "listening in namespace %d", place);
			listens[fd] = 1;
			watch(epoll, fd, EPOLLIN, fd);
		}
	}
}

/* --- the clients --- */

static struct talk *talks;
static uint32_t fresh, most_open;
static FILE *out;

static void finish(struct talk *talk, enum outcome outcome, uint64_t now)
{
	talk->told.outcome = outcome;
	talk->told.ended = now;
	close(talk->fd);
	talk->fd = -1;
	fresh -= talk->fresh;
	talk->fresh = 0;
}

static void begin(int epoll, uint32_t number)
{
	struct talk *talk = &talks[number];
	struct sockaddr_in to = { .sin_family = AF_INET };
	int one = 1;

	talk->told.source = below(place_count);
	talk->told.target = (talk->told.source + 1 + below(place_count - 1)) % place_count;
	talk->told.port = below(port_count);
	to.sin_addr = places[talk->told.target].address;
	to.sin_port = htons(ports[talk->told.port]);
	go_to(talk->told.source);
	talk->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	talk->fresh = 1;
	fresh++;
	talk->told.started = now_ns();
	if (talk->fd < 0)
		err(1, "a socket");
	setsockopt(talk->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(talk->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		err(1, "connecting");
	watch(epoll, talk->fd, EPOLLOUT, number);
}

static void go_on(int epoll, uint32_t number)
{
	struct talk *talk = &talks[number];
	char bytes[SIZE] = "a short connection";
	socklen_t size = sizeof(int);
	uint64_t now = now_ns();
	ssize_t got;
	int error = 0;

	if (talk->fd < 0)
		return;
	if (!talk->told.opened) {
		getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error) {
			finish(talk, error == ETIMEDOUT ? SILENT : REFUSED, now);
			return;
		}
		talk->told.opened = now;
		(void)!send(talk->fd, bytes, SIZE, MSG_NOSIGNAL);
		watch(epoll, talk->fd, EPOLLIN, number);
		return;
	}
	got = recv(talk->fd, bytes, SIZE, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got > 0)
		talk->got += got;
	else
		finish(talk, got == 0 && talk->got == SIZE ? DONE : CUT, now);
}

static void open_all(uint32_t count, uint32_t at_once, uint64_t patience)
{
	struct epoll_event events[EVENTS];
	uint32_t begun = 0, aged = 0, over = 0;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	while (over < count) {
		uint64_t now;
		int ready;

		while (begun < count && fresh < at_once && begun - over < most_open)
			begin(epoll, begun++);
		ready = epoll_wait(epoll, events, EVENTS, 10);
		for (int i = 0; i < ready; i++)
			go_on(epoll, (uint32_t)events[i].data.u64);
		now = now_ns();
		for (; aged < begun && (talks[aged].fd < 0 || now - talks[aged].told.started > FRESH_NS); aged++) {
			fresh -= talks[aged].fresh;
			talks[aged].fresh = 0;
		}
		for (; over < begun && (talks[over].fd < 0 || now - talks[over].told.started > patience); over++)
			if (talks[over].fd >= 0)
				finish(&talks[over], talks[over].told.opened ? CUT : SILENT, now);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	char path[256], address[64];
	uint64_t start;
	uint32_t count;
	pid_t servers;
	int epoll;

	if (argc < 7 || argc - 6 > MAX_PORTS)
		errx(2, "usage: COUNT SEED AT-ONCE PATIENCE-MS OUT PORT...");
	count = atoi(argv[1]);
	random_state = 0x9e3779b97f4a7c15ULL ^ (uint64_t)atoi(argv[2]) << 20;
	for (port_count = 0; port_count < argc - 6; port_count++)
		ports[port_count] = atoi(argv[6 + port_count]);
	if (getrlimit(RLIMIT_NOFILE, &files))
		err(1, "room for sockets");
	files.rlim_cur = files.rlim_max < MAX_OPEN ? files.rlim_max : MAX_OPEN;
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "room for sockets");
	most_open = files.rlim_cur / 2;
	while (place_count < MAX_PLACES && scanf("%255s %63s", path, address) == 2) {
		struct place *place = &places[place_count++];

		place->netns = open(path, O_RDONLY | O_CLOEXEC);
		if (place->netns < 0 || inet_pton(AF_INET, address, &place->address) != 1)
			err(1, "%s %s", path, address);
	}
	talks = calloc(count, sizeof(*talks));
	out = fopen(argv[5], "wb");
	if (place_count < 2 || !talks || !out)
		errx(1, "no places, no memory, or no %s", argv[5]);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listen_everywhere(epoll);
	servers = fork();
	if (!servers) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(epoll);
	}
	start = now_ns();
	open_all(count, atoi(argv[3]), strtoull(argv[4], NULL, 10) * 1000000);
	printf("{\"seconds\": %.3f}\n", (now_ns() - start) / 1e9);
	for (uint32_t i = 0; i < count; i++)
		fwrite(&talks[i].told, sizeof(talks[i].told), 1, out);
	fclose(out);
	/* The last FINs are answered. */
	sleep(1);
	kill(servers, SIGKILL);
	waitpid(servers, NULL, 0);
	return 0;
}
