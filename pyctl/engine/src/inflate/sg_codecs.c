/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Loads zlib and brotli; see the header. I/O: the dynamic loader, once. */
#include "inflate/sg_codecs.h"

#include <pthread.h>

#include "base/sg_library.h"

#define ZLIB "libz.so.1"
#define BROTLI "libbrotlidec.so.1"

static struct sg_zlib zlib;
static struct sg_brotli brotli;
static int has_zlib, has_brotli;

static void load(void)
{
	void *library = sg_library_open(ZLIB);

	has_zlib = library && sg_library_find(library, "zlibVersion", &zlib.version) &&
		   sg_library_find(library, "inflateInit2_", &zlib.init) &&
		   sg_library_find(library, "inflate", &zlib.inflate) &&
		   sg_library_find(library, "inflateReset", &zlib.reset);
	library = sg_library_open(BROTLI);
	has_brotli = library && sg_library_find(library, "BrotliDecoderCreateInstance", &brotli.create) &&
		     sg_library_find(library, "BrotliDecoderDecompressStream", &brotli.decompress) &&
		     sg_library_find(library, "BrotliDecoderTakeOutput", &brotli.take_output);
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
