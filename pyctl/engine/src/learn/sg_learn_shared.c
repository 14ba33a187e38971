/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What workers tell each other of names; see the header. In: addresses learnt. Out: sg_io's name_*(). */
#include "learn/sg_learn_shared.h"

static struct seg_name_key key_of(const struct sg_named_key *named, __u8 slot)
{
	struct seg_name_key key = { .port_id = named->port_id, .family = named->family, .slot = slot };

	memcpy(key.address, named->address, sizeof(key.address));
	return key;
}

/* Where to look first for the name that was asked for; it is the same in each engine. */
static __u8 first_slot(const struct sg_told *told)
{
	__u8 sum = 0;

	for (const char *c = told->text; *c; c++)
		sum = (__u8)(sum * 31 + (__u8)*c);
	return sum % SG_NAMED_SLOTS;
}

/* Return the slot that the name is in, or one that nobody needs; the first one, if there is none. */
static __u8 find_slot(const struct sg_core *core, const struct sg_named *named, const struct sg_told *told)
{
	__u8 first = first_slot(told), found = SG_NAMED_SLOTS;
	struct seg_name name;

	for (__u8 i = 0; i < SG_NAMED_SLOTS; i++) {
		__u8 slot = (first + i) % SG_NAMED_SLOTS;
		int there = sg_learn_shared(core, &named->key, slot, &name);

		if (there && !strcmp(name.text, told->text))
			return slot;
		if (found == SG_NAMED_SLOTS && (!there || name.expires_ns <= core->now_ns))
			found = slot;
	}
	return found == SG_NAMED_SLOTS ? first : found;
}

static int has_room(const struct sg_core *core, const struct sg_named_row *row)
{
	__u32 most = SEG_NAMES_MAX / core->config.workers, shared = core->named.shared;

	return shared < most && row->shared < SG_NAMED_SHARE * (most - shared);
}

static void count(struct sg_core *core, struct sg_named_row *row, struct sg_named *named, __u8 shared)
{
	__u32 change = (__u32)!!shared - (__u32)!!named->shared;

	row->shared += change;
	core->named.shared += change;
	named->shared = shared;
}

int sg_learn_share(struct sg_core *core, struct sg_named_row *row, struct sg_named *named)
{
	const struct sg_told *told = sg_told_of(&core->named, named);
	struct seg_name name = {
		.expires_ns = named->expires_ns, .learnt_ns = named->learnt_ns, .ttl = named->ttl,
		.is_hint = named->is_hint, .resolver_family = told->resolver_family, .length = told->length,
	};
	struct seg_name_key key;

	if (sg_learn_is_alone(core))
		return 1;
	if (!named->shared && !has_room(core, row))
		return 0;
	key = key_of(&named->key, find_slot(core, named, told));
	memcpy(name.resolver, told->resolver, sizeof(name.resolver));
	memcpy(name.text, told->text, told->length);
	if (core->io.name_put(core->io.ctx, &key, &name)) {
		count(core, row, named, 0);
		return 0;
	}
	count(core, row, named, (__u8)(key.slot + 1));
	return 1;
}

void sg_learn_unshare(struct sg_core *core, struct sg_named_row *row, struct sg_named *named)
{
	struct seg_name_key key = key_of(&named->key, (__u8)(named->shared - 1));
	struct seg_name name;

	if (!named->shared)
		return;
	count(core, row, named, 0);
	if (!core->io.name_get(core->io.ctx, &key, &name) && name.learnt_ns == named->learnt_ns &&
	    !strcmp(name.text, sg_told_of(&core->named, named)->text))
		core->io.name_delete(core->io.ctx, &key);
}

int sg_learn_shared(const struct sg_core *core, const struct sg_named_key *named, __u8 slot, struct seg_name *name)
{
	struct seg_name_key key = key_of(named, slot);

	return !core->io.name_get(core->io.ctx, &key, name) && name->length && name->length <= SEG_NAME_TEXT &&
	       !name->text[name->length - 1];
}
