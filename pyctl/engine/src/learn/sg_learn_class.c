/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Classes of addresses with names; see the header. In: the table of names, the node's policy. Out: sg_io's class_*(). */
#include "learn/sg_learn_class.h"

#include <errno.h>

#include "class/sg_class.h"
#include "learn/sg_learn_shared.h"

static struct seg_class_key key_of(const struct sg_core *core, __u8 family, const __u8 *address)
{
	struct seg_class_key key = sg_class_key(family, address, family == SEG_FAMILY_IPV4 ? 32 : 128);

	key.version = core->class_version;
	return key;
}

void sg_learn_classes_use(struct sg_core *core, __u32 version)
{
	core->class_version = version;
	core->io.class_use(core->io.ctx, version);
}

void sg_learn_class(struct sg_core *core, __u8 family, const __u8 *address)
{
	struct seg_class_key key = key_of(core, family, address);
	__u32 class;
	int own, error;

	if (!core->class_version)
		return;
	class = sg_node_peer_class(core->node, family, address, &own);
	if (own)
		error = core->io.class_put(core->io.ctx, &key, class);
	else
		error = core->io.class_delete(core->io.ctx, &key);
	if (error && error != -ENOENT)
		sg_learn_classes_use(core, 0);
}

void sg_learn_mark(struct sg_core *core, const struct sg_named_key *key, int change)
{
	int count = change ? sg_named_mark(&core->named, key, change) : -1;

	if (count == -ENOMEM)
		sg_learn_classes_use(core, 0);
	else if (count == (change > 0))
		sg_learn_class(core, key->family, key->address);
}

void sg_learn_regroup(struct sg_core *core)
{
	sg_named_marks_clear(&core->named);
	for (__u32 place = 1; place <= core->named.pool.used; place++) {
		struct sg_named *named = sg_named_at(&core->named, place);
		struct sg_named_row *row;

		if (!named->key.port_id)
			continue;
		row = &core->ports[named->key.port_id]->named;
		if (sg_node_class_of_told(core->node, named->told) == SG_CLASS_ANY) {
			sg_learn_unshare(core, row, named);
			continue;
		}
		sg_named_mark(&core->named, &named->key, 1);
		if (!named->shared && !named->is_copy)
			sg_learn_share(core, row, named);
	}
}

int sg_learn_classes_write(struct sg_core *core, __u32 version)
{
	int error = 0;

	for (__u32 i = 0; core->named.mark_count && i < core->named.marks.size && !error; i++) {
		const struct sg_map_slot *slot = &core->named.marks.slots[i];
		struct seg_class_key key = key_of(core, (__u8)slot->key[2], (const __u8 *)slot->key);

		key.version = version;
		if (slot->value)
			error = core->io.class_put(core->io.ctx, &key, SG_CLASS_NONE);
	}
	return error;
}
