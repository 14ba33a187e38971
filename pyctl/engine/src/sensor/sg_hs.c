/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Loads Vectorscan; see the header. I/O: the dynamic loader, once. It is called by the thread that builds sensors. */
#include "sensor/sg_hs.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define LIBRARY "libhs.so.5"

static struct sg_hs functions;
static int is_there;

/* Set a function's pointer, whatever its type. Returns whether the library has it. */
static int find(void *library, const char *name, void *place)
{
	void *found = dlsym(library, name);

	memcpy(place, &found, sizeof(found));
	return found != NULL;
}

static void load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	is_there = library && find(library, "hs_deserialize_database", &functions.deserialize) &&
		   find(library, "hs_free_database", &functions.free_database) &&
		   find(library, "hs_alloc_scratch", &functions.alloc_scratch) &&
		   find(library, "hs_free_scratch", &functions.free_scratch) &&
		   find(library, "hs_stream_size", &functions.stream_size) &&
		   find(library, "hs_open_stream", &functions.open) && find(library, "hs_scan_stream", &functions.scan) &&
		   find(library, "hs_reset_stream", &functions.reset) && find(library, "hs_close_stream", &functions.close);
}

const struct sg_hs *sg_hs_load(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load);
	return is_there ? &functions : NULL;
}
