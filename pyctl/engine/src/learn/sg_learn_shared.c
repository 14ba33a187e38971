/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What workers tell each other of names; see the header. In: addresses learnt. Out: sg_io's name_*(). */
#include "learn/sg_learn_shared.h"

static struct seg_name_key key_of(const struct sg_named_key *named, __u8 slot)
{
	struct seg_name_key key = { .port_id = named->port_id, .family = named->family, .slot = slot };

	memcpy(key.address, named->address, sizeof(key.address));
	return key;
}

/* The slot of the name that was asked for; it is the same in each engine. */
static __u8 slot_of(const struct sg_told *told)
{
	__u8 sum = 0;

	for (const char *c = told->text; *c; c++)
		sum = (__u8)(sum * 31 + (__u8)*c);
	return sum % SG_LEARN_SLOTS;
}

void sg_learn_share(const struct sg_core *core, const struct sg_named *named)
{
	const struct sg_told *told = sg_told_of(&core->named, named);
	struct seg_name_key key = key_of(&named->key, slot_of(told));
	struct seg_name name = {
		.expires_ns = named->expires_ns, .learnt_ns = named->learnt_ns, .ttl = named->ttl,
		.is_hint = named->is_hint, .resolver_family = told->resolver_family, .length = told->length,
	};

	if (sg_learn_is_alone(core))
		return;
	memcpy(name.resolver, told->resolver, sizeof(name.resolver));
	memcpy(name.text, told->text, told->length);
	core->io.name_put(core->io.ctx, &key, &name);
}

void sg_learn_unshare(const struct sg_core *core, const struct sg_named *named)
{
	struct seg_name_key key = key_of(&named->key, slot_of(sg_told_of(&core->named, named)));
	struct seg_name name;

	if (!sg_learn_is_alone(core) && !core->io.name_get(core->io.ctx, &key, &name) && name.learnt_ns == named->learnt_ns)
		core->io.name_delete(core->io.ctx, &key);
}

int sg_learn_shared(const struct sg_core *core, const struct sg_named_key *named, __u8 slot, struct seg_name *name)
{
	struct seg_name_key key = key_of(named, slot);

	return !core->io.name_get(core->io.ctx, &key, name) && name->length && name->length <= SEG_NAME_TEXT &&
	       !name->text[name->length - 1];
}
