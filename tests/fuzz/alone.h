/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Runs a fuzzer's inputs without libFuzzer: PROGRAM [SECONDS [SEED]]. The seed that fails is the last one told. */
#ifndef ALONE_H
#define ALONE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Call `make_and_run` with one seed after the other; it returns how many inputs it has run. */
static int run_alone(int argc, char **argv, unsigned int (*make_and_run)(void))
{
	double seconds = argc > 1 ? atof(argv[1]) : 3;
	unsigned int seed = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;
	time_t end = time(NULL) + (time_t)seconds;
	unsigned long runs = 0;

	do {
		srand(seed);
		fprintf(stderr, "\rseed %u", seed);
		runs += make_and_run();
		seed++;
	} while (time(NULL) < end);
	printf("%lu inputs\n", runs);
	return 0;
}

#endif
