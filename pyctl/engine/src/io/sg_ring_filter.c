/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The filter of a ring's socket; see the header. The hash is segctl_worker.h's, computed as lib/seg_worker.h does. A frame
 * that is cut short of what the hash reads is the first worker's, for the engine to count. */
#include "io/sg_ring_filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "segctl_worker.h"

enum { SNAP_ALL = 0x40000, ROOM = 128 };
enum { IP4_END = 34, IP6_END = 54, ICMP_LEN = 8, IP4_LEN = 20, IP6_LEN = 40, FRAGMENT = 0x3fff, ICMP6_QUERY = 128 };

/* Where a jump goes; NEXT: on. */
enum label { NEXT, DROP, ACCEPT, MIX, NONE, NOT_IP4, QUOTED4, PLAIN4, PAIR4, PLAIN6, PAIR6, LABELS };

struct program {
	struct sock_filter code[ROOM];
	__u16 count;
	__u16 at[LABELS];
};

static void say(struct program *p, int operation, __u32 k)
{
	p->code[p->count++] = (struct sock_filter){ (__u16)operation, 0, 0, k };
}

/* The labels stand in for distances until the end. */
static void jump(struct program *p, int condition, __u32 k, enum label then, enum label otherwise)
{
	p->code[p->count++] = (struct sock_filter){ (__u16)(BPF_JMP | condition), (__u8)then, (__u8)otherwise, k };
}

static void here(struct program *p, enum label label)
{
	p->at[label] = p->count;
}

static __u8 distance(const struct program *p, __u16 from, __u8 label)
{
	return label == NEXT ? 0 : (__u8)(p->at[label] - from - 1);
}

static void resolve(struct program *p)
{
	for (__u16 i = 0; i < p->count; i++) {
		struct sock_filter *one = &p->code[i];

		if (BPF_CLASS(one->code) != BPF_JMP)
			continue;
		if (BPF_OP(one->code) == BPF_JA)
			one->k = distance(p, i, one->jt);
		one->jf = distance(p, i, one->jf);
		one->jt = BPF_OP(one->code) == BPF_JA ? 0 : distance(p, i, one->jt);
	}
}

/* A: the XOR of `words` words from `first` + X on. */
static void fold(struct program *p, __u32 first, __u32 words)
{
	for (__u32 i = 0; i < words; i++) {
		say(p, BPF_LD | BPF_W | BPF_IND, first + 4 * i);
		say(p, BPF_ST, i);
	}
	for (__u32 i = 0; i + 1 < words; i++) {
		say(p, BPF_LDX | BPF_MEM, i);
		say(p, BPF_ALU | BPF_XOR | BPF_X, 0);
	}
}

static void pair4(struct program *p)
{
	say(p, BPF_LD | BPF_W | BPF_LEN, 0);
	jump(p, BPF_JGE | BPF_K, IP4_END, NEXT, NONE);
	say(p, BPF_LD | BPF_H | BPF_ABS, ETH_HLEN + 6);
	jump(p, BPF_JSET | BPF_K, FRAGMENT, PLAIN4, NEXT);
	say(p, BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 9);
	jump(p, BPF_JEQ | BPF_K, IPPROTO_ICMP, NEXT, PLAIN4);
	/* X: the length of the IP header. */
	say(p, BPF_LDX | BPF_B | BPF_MSH, ETH_HLEN);
	say(p, BPF_MISC | BPF_TXA, 0);
	say(p, BPF_ALU | BPF_ADD | BPF_K, ETH_HLEN + ICMP_LEN + IP4_LEN);
	say(p, BPF_MISC | BPF_TAX, 0);
	say(p, BPF_LD | BPF_W | BPF_LEN, 0);
	jump(p, BPF_JGE | BPF_X, 0, NEXT, PLAIN4);
	say(p, BPF_LDX | BPF_B | BPF_MSH, ETH_HLEN);
	say(p, BPF_LD | BPF_B | BPF_IND, ETH_HLEN);
	jump(p, BPF_JEQ | BPF_K, 11, QUOTED4, NEXT);
	jump(p, BPF_JEQ | BPF_K, 12, QUOTED4, NEXT);
	jump(p, BPF_JGE | BPF_K, 3, NEXT, PLAIN4);
	jump(p, BPF_JGT | BPF_K, 5, PLAIN4, QUOTED4);
	here(p, QUOTED4);
	say(p, BPF_MISC | BPF_TXA, 0);
	say(p, BPF_ALU | BPF_ADD | BPF_K, ICMP_LEN);
	say(p, BPF_MISC | BPF_TAX, 0);
	jump(p, BPF_JA, 0, PAIR4, NEXT);
	here(p, PLAIN4);
	say(p, BPF_LDX | BPF_IMM, 0);
	here(p, PAIR4);
	fold(p, ETH_HLEN + 12, 2);
	jump(p, BPF_JA, 0, MIX, NEXT);
}

static void pair6(struct program *p)
{
	say(p, BPF_LD | BPF_W | BPF_LEN, 0);
	jump(p, BPF_JGE | BPF_K, IP6_END, NEXT, NONE);
	jump(p, BPF_JGE | BPF_K, IP6_END + ICMP_LEN + IP6_LEN, NEXT, PLAIN6);
	say(p, BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 6);
	jump(p, BPF_JEQ | BPF_K, IPPROTO_ICMPV6, NEXT, PLAIN6);
	say(p, BPF_LD | BPF_B | BPF_ABS, IP6_END);
	jump(p, BPF_JGE | BPF_K, ICMP6_QUERY, PLAIN6, NEXT);
	say(p, BPF_LDX | BPF_IMM, ICMP_LEN + IP6_LEN);
	jump(p, BPF_JA, 0, PAIR6, NEXT);
	here(p, PLAIN6);
	say(p, BPF_LDX | BPF_IMM, 0);
	here(p, PAIR6);
	fold(p, ETH_HLEN + 8, 8);
	jump(p, BPF_JA, 0, MIX, NEXT);
}

static void take_own(struct program *p, __u32 worker, __u32 workers)
{
	say(p, BPF_LD | BPF_H | BPF_ABS, ETH_HLEN - 2);
	jump(p, BPF_JEQ | BPF_K, ETH_P_IP, NEXT, NOT_IP4);
	pair4(p);
	here(p, NOT_IP4);
	jump(p, BPF_JEQ | BPF_K, ETH_P_IPV6, NEXT, NONE);
	pair6(p);
	here(p, NONE);
	say(p, BPF_LD | BPF_IMM, 0);
	here(p, MIX);
	say(p, BPF_ALU | BPF_MUL | BPF_K, SEG_WORKER_MIX);
	say(p, BPF_ALU | BPF_RSH | BPF_K, 16);
	say(p, BPF_ALU | BPF_MUL | BPF_K, workers);
	say(p, BPF_ALU | BPF_RSH | BPF_K, 16);
	jump(p, BPF_JEQ | BPF_K, worker, ACCEPT, DROP);
}

int sg_ring_filter(int fd, __u32 shortest, __u32 longest, __u32 worker, __u32 workers)
{
	struct program p = { .count = 0 };
	struct sock_fprog program = { .filter = p.code };

	say(&p, BPF_LD | BPF_W | BPF_LEN, 0);
	jump(&p, BPF_JGE | BPF_K, shortest, NEXT, DROP);
	jump(&p, BPF_JGT | BPF_K, longest, DROP, NEXT);
	if (workers > 1)
		take_own(&p, worker, workers);
	here(&p, ACCEPT);
	say(&p, BPF_RET | BPF_K, SNAP_ALL);
	here(&p, DROP);
	say(&p, BPF_RET | BPF_K, 0);
	resolve(&p);
	program.len = p.count;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}
