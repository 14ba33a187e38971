/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Asks the node policies of two files questions in turns, and prints the ns of one for each turn: pairs
 * of lines "A ns" and "B ns". A question has a random port of 1..200, peer of 10.x, and service. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/sg_node.h"

enum { ROUNDS = 15, QUESTIONS = 200000 };

static struct sg_node *load(const char *path)
{
	static const __u64 key[2] = { 1, 2 };
	FILE *file = fopen(path, "rb");
	struct sg_node_view view;
	struct sg_node *node;
	long size;
	void *bytes;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0)
		exit(2);
	rewind(file);
	bytes = malloc((size_t)size);
	if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size)
		exit(2);
	fclose(file);
	if (sg_node_view(bytes, (__u32)size, &view) || sg_node_build(key, &view, &node))
		exit(3);
	free(bytes);
	return node;
}

static volatile unsigned long sink;	/* keeps the answers from being optimised away */

static double ask(struct sg_node *node, unsigned int seed)
{
	struct timespec began, ended;
	struct sg_found found;
	unsigned long matched = 0;

	srand(seed);
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (int i = 0; i < QUESTIONS; i++) {
		int port = 1 + rand() % 200, peer = 1 + rand() % 200;
		__u8 local_address[16] = { 10, 9, (__u8)(port >> 8), (__u8)port };
		__u8 peer_address[16] = { 10, rand() & 1 ? 9 : (__u8)rand(), 0, (__u8)peer };
		struct sg_policy_query q = { local_address, peer_address, (__u16)rand(),
					 (__u8)(1 + (i & 1)), SEG_FAMILY_IPV4, i & 2 ? 6 : 17 };

		if (sg_node_ask(node, (__u16)port, &q, &found))
			exit(3);
		matched += !!found.rule;
	}
	clock_gettime(CLOCK_MONOTONIC, &ended);
	sink = matched;
	return ((double)(ended.tv_sec - began.tv_sec) * 1e9 + (double)(ended.tv_nsec - began.tv_nsec)) /
	       QUESTIONS;
}

int main(int argc, char **argv)
{
	struct sg_node *few, *many;

	if (argc != 3)
		return 2;
	few = load(argv[1]);
	many = load(argv[2]);
	/* Pairs are compiled as they are first asked: that is a swap's cost, not a lookup's. */
	ask(few, 1);
	ask(many, 1);
	for (unsigned int round = 1; round <= ROUNDS; round++) {
		printf("A %.1f\n", ask(few, round % 3 + 1));
		printf("B %.1f\n", ask(many, round % 3 + 1));
	}
	sg_node_free(few);
	sg_node_free(many);
	return 0;
}
