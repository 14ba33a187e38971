/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Loads zlib and brotli; see the header. I/O: the dynamic loader, once. */
#include "inflate/sg_codecs.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define ZLIB "libz.so.1"
#define BROTLI "libbrotlidec.so.1"

static struct sg_zlib zlib;
static struct sg_brotli brotli;
static int has_zlib, has_brotli;

/* Set a function's pointer, whatever its type. Returns whether the library has it. */
static int find(void *library, const char *name, void *place)
{
	void *found = dlsym(library, name);

	memcpy(place, &found, sizeof(found));
	return found != NULL;
}

static void load(void)
{
	void *library = dlopen(ZLIB, RTLD_NOW | RTLD_LOCAL);

	has_zlib = library && find(library, "zlibVersion", &zlib.version) && find(library, "inflateInit2_", &zlib.init) &&
		   find(library, "inflate", &zlib.inflate) && find(library, "inflateReset", &zlib.reset);
	library = dlopen(BROTLI, RTLD_NOW | RTLD_LOCAL);
	has_brotli = library && find(library, "BrotliDecoderCreateInstance", &brotli.create) &&
		     find(library, "BrotliDecoderDecompressStream", &brotli.decompress) &&
		     find(library, "BrotliDecoderTakeOutput", &brotli.take_output);
}

void sg_codecs_load(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load);
}

const struct sg_zlib *sg_codecs_zlib(void)
{
	return has_zlib ? &zlib : NULL;
}

const struct sg_brotli *sg_codecs_brotli(void)
{
	return has_brotli ? &brotli : NULL;
}
