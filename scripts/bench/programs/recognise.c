/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What it costs to recognise a flow by its first bytes: ns a call, of whatever stands in the files named.
 * In: files with an initiator's bytes. Out: a line for each. */
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "inspect/sg_recognise.h"

#define CALLS 200000
#define ROUNDS 7

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static unsigned char bytes[SG_PREFIX_BYTES];

	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		struct sg_prefix prefix = { .data = { bytes, bytes }, .proto = IPPROTO_TCP };
		struct sg_recognised known;
		double best = 1;

		if (!file)
			return 1;
		prefix.len[0] = (unsigned int)fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
		for (int round = 0; round < ROUNDS; round++) {
			double begin = seconds(), took;

			for (int call = 0; call < CALLS; call++) {
				known = (struct sg_recognised){ 0 };
				sg_recognise(&prefix, &known);
			}
			took = (seconds() - begin) / CALLS;
			best = took < best ? took : best;
		}
		printf("%u %u %.0f\n", prefix.len[0], known.app, best * 1e9);
	}
	return 0;
}
