/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Loads Vectorscan; see the header. I/O: the dynamic loader, once. It is called by the thread that builds sensors. */
#include "sensor/sg_hs.h"

#include <pthread.h>

#include "base/sg_library.h"

#define LIBRARY "libhs.so.5"

static struct sg_hs functions;
static int is_there;

static void load(void)
{
	void *library = sg_library_open(LIBRARY);

	is_there = library && sg_library_find(library, "hs_deserialize_database", &functions.deserialize) &&
		   sg_library_find(library, "hs_free_database", &functions.free_database) &&
		   sg_library_find(library, "hs_alloc_scratch", &functions.alloc_scratch) &&
		   sg_library_find(library, "hs_free_scratch", &functions.free_scratch) &&
		   sg_library_find(library, "hs_stream_size", &functions.stream_size) &&
		   sg_library_find(library, "hs_open_stream", &functions.open) &&
		   sg_library_find(library, "hs_scan_stream", &functions.scan) &&
		   sg_library_find(library, "hs_reset_stream", &functions.reset) &&
		   sg_library_find(library, "hs_close_stream", &functions.close);
}

const struct sg_hs *sg_hs_load(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load);
	return is_there ? &functions : NULL;
}
