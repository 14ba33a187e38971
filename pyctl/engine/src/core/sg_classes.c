/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Tells the programs the class of each address. In: the node's policy, its members. Out: sg_io's class_*().
 *
 * Why no program takes a class for another one:
 * - A version's classes never change their meaning, and its number is never used again, also not by the next engine: a
 *   service of a class says the same as long as its generation holds, whoever has the class by then.
 * - A version is read once all of it is there, and what is deleted is of a version that programs have ceased to read. An
 *   engine that ends in between leaves the one in force as it was; its successor sweeps away what it had begun.
 * - A member's address has its new class before the delta is acknowledged, so before the generations that go with it are
 *   published. Until then an old service may be found for the new class, as if the peer had changed first, and its port
 *   next; one of a new generation is found for the new class alone, because programs read the generation first.
 * - An address that is a network of the policy keeps an entry when the workload that had it is gone.
 * - An address that a port knows by a name in a group has no class, before the answer that names it is sent on: what the name
 *   allows is decided here. Its entry goes when no port knows it any more, and then says what the address alone says.
 * - An address without an entry of its own is judged by its network's. So where an entry is refused, there is no version
 *   in force, and programs ask, until the next policy. */
#include "core/sg_classes.h"

#include <errno.h>

#include "learn/sg_learn_class.h"

struct writing {
	const struct sg_io *io;
	__u32 version;
	__u32 left;
};

static int put(void *context, const struct seg_class_key *key, __u32 class)
{
	struct writing *writing = context;
	struct seg_class_key own = *key;

	if (!writing->left--)
		return -E2BIG;
	own.version = writing->version;
	return writing->io->class_put(writing->io->ctx, &own, class);
}

__u32 sg_core_classes_write(const struct sg_core *core, struct sg_node *node, __u32 version)
{
	struct writing writing = { &core->io, version, SEG_CLASSES_MAX / 2 };

	return version && !sg_node_classes(node, put, &writing) ? version : 0;
}

void sg_classes_use(struct sg_core *core, __u32 version)
{
	sg_learn_classes_use(core, version && !sg_learn_classes_write(core, version) ? version : 0);
}

void sg_core_classes_rewrite(struct sg_core *core, __u32 version)
{
	if (core->node)
		sg_classes_use(core, sg_core_classes_write(core, core->node, version));
}
