/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* PCRE2; see the header. In: patterns, bytes. Out: whether they match. I/O: the dynamic loader, once. */
#include "sensor/sg_exact.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/sg_library.h"

#define LIBRARY "libpcre2-8.so.0"

enum { NO_MATCH = -1, NEVER_UCP = 0x800, NEVER_UTF = 0x1000 };

/* As the ABI of libpcre2-8.so.0 has them. */
static struct {
	void *(*compile)(const __u8 *pattern, size_t length, __u32 options, int *error, size_t *offset, void *context);
	void (*code_free)(void *code);
	void *(*match_data)(__u32 pairs, void *context);
	void (*match_data_free)(void *data);
	void *(*context)(void *general);
	void (*context_free)(void *context);
	int (*match_limit)(void *context, __u32 limit);
	int (*depth_limit)(void *context, __u32 limit);
	int (*heap_limit)(void *context, __u32 limit);
	int (*match)(const void *code, const __u8 *bytes, size_t length, size_t start, __u32 options, void *data, void *context);
} pcre2;
static int is_there;

/* A compiled pattern with what a match needs, so that none is allocated then. */
struct exact {
	void *code;
	void *data;
	void *context;
};

static void load(void)
{
	void *library = sg_library_open(LIBRARY);

	is_there = library && sg_library_find(library, "pcre2_compile_8", &pcre2.compile) &&
		   sg_library_find(library, "pcre2_code_free_8", &pcre2.code_free) &&
		   sg_library_find(library, "pcre2_match_data_create_8", &pcre2.match_data) &&
		   sg_library_find(library, "pcre2_match_data_free_8", &pcre2.match_data_free) &&
		   sg_library_find(library, "pcre2_match_context_create_8", &pcre2.context) &&
		   sg_library_find(library, "pcre2_match_context_free_8", &pcre2.context_free) &&
		   sg_library_find(library, "pcre2_set_match_limit_8", &pcre2.match_limit) &&
		   sg_library_find(library, "pcre2_set_depth_limit_8", &pcre2.depth_limit) &&
		   sg_library_find(library, "pcre2_set_heap_limit_8", &pcre2.heap_limit) &&
		   sg_library_find(library, "pcre2_match_8", &pcre2.match);
}

static int fill(struct exact *exact, const __u8 *regex, __u32 length)
{
	size_t offset;
	int error;

	exact->code = pcre2.compile(regex, length, NEVER_UTF | NEVER_UCP, &error, &offset, NULL);
	if (!exact->code)
		return -EINVAL;
	exact->data = pcre2.match_data(1, NULL);
	exact->context = pcre2.context(NULL);
	if (!exact->data || !exact->context)
		return -ENOMEM;
	pcre2.match_limit(exact->context, SG_EXACT_MATCHES);
	pcre2.depth_limit(exact->context, SG_EXACT_DEPTH);
	pcre2.heap_limit(exact->context, SG_EXACT_HEAP);
	return 0;
}

int sg_exact_compile(const __u8 *regex, __u32 length, void **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct exact *exact;
	int error;

	pthread_once(&once, load);
	if (!is_there)
		return -ENOPKG;
	exact = calloc(1, sizeof(*exact));
	if (!exact)
		return -ENOMEM;
	error = fill(exact, regex, length);
	if (error)
		sg_exact_free(exact);
	else
		*out = exact;
	return error;
}

void sg_exact_free(void *compiled)
{
	struct exact *exact = compiled;

	if (!exact)
		return;
	if (exact->code)
		pcre2.code_free(exact->code);
	if (exact->data)
		pcre2.match_data_free(exact->data);
	if (exact->context)
		pcre2.context_free(exact->context);
	free(exact);
}

int sg_exact_matches(const void *compiled, const __u8 *bytes, __u32 length)
{
	const struct exact *exact = compiled;
	int result = pcre2.match(exact->code, bytes, length, 0, 0, exact->data, exact->context);

	return result >= 0 ? 1 : result == NO_MATCH ? 0 : -1;
}
