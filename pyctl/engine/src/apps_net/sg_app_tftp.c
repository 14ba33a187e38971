/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TFTP: a request names a file and a mode. The server answers from another port, so that its data begin a flow, too: a
 * guess, until the client acknowledges the block. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_reader.h"

enum {
	READ = 1,
	WRITE = 2,
	DATA = 3,
	ACKNOWLEDGE = 4,
	OPTIONS = 6,
	NAME_MOST = 255,
};

/* Return whether a text of this length is a word, whatever its letters' case. */
static int is_word(const struct sg_reader *side, __u32 at, __u32 len, const char *word)
{
	for (; *word && len; word++, at++, len--) {
		if ((side->data[at] | 0x20) != *word)
			return 0;
	}
	return !*word && !len;
}

static void read_options(struct sg_reader *side)
{
	while (sg_fine(side) && side->at < side->len) {
		sg_require(side, sg_skip_string(side, NAME_MOST) != 0);
		sg_skip_string(side, NAME_MOST);
	}
}

static void read_file(struct sg_reader *side)
{
	__u32 mode, len;

	sg_require(side, sg_skip_string(side, NAME_MOST) != 0);
	mode = side->at;
	len = sg_skip_string(side, NAME_MOST);
	sg_require(side, is_word(side, mode, len, "octet") || is_word(side, mode, len, "netascii") ||
			 is_word(side, mode, len, "mail"));
	read_options(side);
}

/* The server's options are those that were asked for. */
static void read_agreed(struct sg_reader *side)
{
	__u32 name = side->at;
	__u32 len = sg_skip_string(side, NAME_MOST);

	sg_require(side, is_word(side, name, len, "blksize") || is_word(side, name, len, "tsize") ||
			 is_word(side, name, len, "timeout") || is_word(side, name, len, "windowsize"));
	sg_skip_string(side, NAME_MOST);
	read_options(side);
}

/* The first block, or the acknowledgement that lets the client begin. */
static enum sg_match read_first(struct sg_reader *side, const struct sg_prefix *prefix, __u32 kind)
{
	struct sg_reader other = sg_reader(prefix, 1);
	__u32 first = kind == DATA;

	sg_require(side, sg_take(side, 2) == first);
	sg_require(side, kind == DATA || side->len == 4);
	sg_require(&other, sg_take(&other, 2) == (kind == DATA ? ACKNOWLEDGE : DATA));
	sg_require(&other, sg_take(&other, 2) == 1);
	sg_require(&other, kind == ACKNOWLEDGE || other.len == 4);
	return sg_match_sides(sg_read_as(side, SG_MATCH_GUESS), (enum sg_match)other.match);
}

enum sg_match sg_app_tftp(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 kind;

	kind = (__u32)sg_take(&side, 2);
	if (kind == DATA || kind == ACKNOWLEDGE)
		return read_first(&side, prefix, kind);
	sg_require(&side, kind == READ || kind == WRITE || kind == OPTIONS);
	if (kind == OPTIONS)
		read_agreed(&side);
	else
		read_file(&side);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
