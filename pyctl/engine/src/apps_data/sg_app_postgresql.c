/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* PostgreSQL: the client's first message is a length, a number that is a version or a request, and what belongs to
 * it. */
#include "apps_data/sg_apps_data.h"
#include "prefix/sg_reader.h"

enum {
	STARTUP_MOST = 10000,	/* the server takes no longer one */
	VERSION_3 = 3 << 16,
	CANCEL = 80877102,
	SSL = 80877103,
	GSS = 80877104,
	KEY_MOST = 256,
};

/* Names and values in turn, until an empty name; one of the names is `user`. */
static void read_parameters(struct sg_reader *side, __u32 end)
{
	int has_user = 0;
	__u32 name;

	while (sg_fine(side)) {
		name = side->at;
		if (!sg_skip_string(side, end - name))
			break;
		has_user |= sg_was(side, name, "user") && side->at - name == sizeof("user");
		sg_require(side, side->at < end);
		sg_skip_string(side, end - side->at);
		sg_require(side, side->at < end);
	}
	sg_require(side, has_user);
	sg_expect_end(side, end);
}

enum sg_match sg_app_postgresql(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 len, code;

	len = (__u32)sg_take(&side, 4);
	sg_require(&side, len >= 8 && len <= STARTUP_MOST);
	code = (__u32)sg_take(&side, 4);
	if (code == SSL || code == GSS) {
		sg_require(&side, len == 8);
	} else if (code == CANCEL) {
		sg_require(&side, len >= 16 && len <= 12 + KEY_MOST);
		sg_skip(&side, len - 8);
	} else {
		sg_require(&side, code >> 16 == VERSION_3 >> 16);
		read_parameters(&side, len);
	}
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
