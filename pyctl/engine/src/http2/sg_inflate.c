/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Header blocks of HTTP/2; see the header. In: fragments of blocks. Out: fields. I/O: loading the library, once. */
#include "http2/sg_inflate.h"

#include <dlfcn.h>
#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <string.h>

#include "base/sg_library.h"

/* What is used of the library. */
static struct {
	void *handle;		/* NULL: not loaded */
	__typeof__(&nghttp2_hd_inflate_new2) begin;
	__typeof__(&nghttp2_hd_inflate_del) end;
	__typeof__(&nghttp2_hd_inflate_hd2) read;
	__typeof__(&nghttp2_hd_inflate_end_headers) end_block;
	__typeof__(&nghttp2_hd_inflate_change_table_size) allow;
} library;

/* Memory that the library has. */
struct piece {
	size_t size;		/* with this */
	_Alignas(max_align_t) __u8 bytes[];
};

struct sg_inflater {
	struct sg_streams *all;
	nghttp2_hd_inflater *state;
	nghttp2_mem memory;
	__u32 taken;
};

int sg_inflate_load(const char *name)
{
	void *handle;

	if (name && library.handle)
		return 0;
	if (library.handle)
		dlclose(library.handle);
	library.handle = NULL;
	handle = name ? sg_library_open(name) : NULL;
	if (!handle)
		return name ? -1 : 0;
	if (!sg_library_find(handle, "nghttp2_hd_inflate_new2", &library.begin) ||
	    !sg_library_find(handle, "nghttp2_hd_inflate_del", &library.end) ||
	    !sg_library_find(handle, "nghttp2_hd_inflate_hd2", &library.read) ||
	    !sg_library_find(handle, "nghttp2_hd_inflate_end_headers", &library.end_block) ||
	    !sg_library_find(handle, "nghttp2_hd_inflate_change_table_size", &library.allow)) {
		dlclose(handle);
		return -1;
	}
	__atomic_store_n(&library.handle, handle, __ATOMIC_RELEASE);
	return 0;
}

int sg_inflate_is_loaded(void)
{
	return !!__atomic_load_n(&library.handle, __ATOMIC_ACQUIRE);
}

static void *take(size_t bytes, void *user)
{
	struct sg_inflater *inflater = user;
	size_t size = sizeof(struct piece) + bytes;
	struct piece *piece;

	if (bytes > SG_INFLATE_BYTES || inflater->taken + size > SG_INFLATE_BYTES)
		return NULL;
	piece = sg_streams_take(inflater->all, (__u32)size, 0);
	if (!piece)
		return NULL;
	inflater->taken += (__u32)size;
	piece->size = size;
	return piece->bytes;
}

static struct piece *piece_of(void *taken)
{
	return (struct piece *)((__u8 *)taken - offsetof(struct piece, bytes));
}

static void give(void *taken, void *user)
{
	struct sg_inflater *inflater = user;
	struct piece *piece;

	if (!taken)
		return;
	piece = piece_of(taken);
	inflater->taken -= (__u32)piece->size;
	sg_streams_give(inflater->all, piece, (__u32)piece->size);
}

static void *take_many(size_t count, size_t each, void *user)
{
	/* The streams' memory comes zeroed. */
	return each && count > SG_INFLATE_BYTES / each ? NULL : take(count * each, user);
}

static void *take_again(void *taken, size_t bytes, void *user)
{
	void *fresh = take(bytes, user);
	size_t kept;

	if (!fresh || !taken)
		return fresh;
	kept = piece_of(taken)->size - sizeof(struct piece);
	memcpy(fresh, taken, kept < bytes ? kept : bytes);
	give(taken, user);
	return fresh;
}

struct sg_inflater *sg_inflater_new(struct sg_streams *all)
{
	struct sg_inflater *inflater = sg_inflate_is_loaded() ? sg_streams_take(all, sizeof(*inflater), 0) : NULL;

	if (!inflater)
		return NULL;
	inflater->all = all;
	inflater->memory = (nghttp2_mem){
		.mem_user_data = inflater, .malloc = take, .free = give, .calloc = take_many, .realloc = take_again,
	};
	/* The table stays as large as it is until the client says otherwise: this only lets it. */
	if (library.begin(&inflater->state, &inflater->memory) || library.allow(inflater->state, SG_INFLATE_TABLE)) {
		sg_inflater_free(inflater);
		return NULL;
	}
	return inflater;
}

void sg_inflater_free(struct sg_inflater *inflater)
{
	if (!inflater)
		return;
	if (inflater->state)
		library.end(inflater->state);
	sg_streams_give(inflater->all, inflater, sizeof(*inflater));
}

enum sg_inflated sg_inflate(struct sg_inflater *inflater, const __u8 **at, __u32 *len, int is_last,
			    struct sg_inflate_field *field)
{
	while (*len || is_last) {
		nghttp2_nv pair;
		int flags = 0;
		ssize_t used = library.read(inflater->state, &pair, &flags, *at, *len, is_last);

		if (used < 0)
			return used == NGHTTP2_ERR_NOMEM ? SG_INFLATED_NO_ROOM : SG_INFLATED_WRONG;
		*at += used;
		*len -= (__u32)used;
		if (flags & NGHTTP2_HD_INFLATE_FINAL) {
			library.end_block(inflater->state);
			return SG_INFLATED_ALL;
		}
		if (flags & NGHTTP2_HD_INFLATE_EMIT) {
			*field = (struct sg_inflate_field){
				.name = pair.name, .value = pair.value,
				.name_len = (__u32)pair.namelen, .value_len = (__u32)pair.valuelen,
			};
			return SG_INFLATED_FIELD;
		}
		if (!used)
			return SG_INFLATED_WRONG;
	}
	return SG_INFLATED_ALL;
}
