/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Libraries that only some policies need: they are loaded by whoever builds those, never on a packet's way. I/O: the dynamic
 * loader. */
#ifndef SG_LIBRARY_H
#define SG_LIBRARY_H

#include <dlfcn.h>
#include <string.h>

/* Return the library of this name, or NULL: this host has none. */
static inline void *sg_library_open(const char *name)
{
	return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

/* Set a function's pointer, whatever its type. Returns whether the library has it. */
static inline int sg_library_find(void *library, const char *name, void *function)
{
	void *found = dlsym(library, name);

	memcpy(function, &found, sizeof(found));
	return found != NULL;
}

#endif
