/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Puts policies in force: everything is allocated first, then pointers are swapped, which cannot fail.
 * In: policies, blocks of a node's policy (sg_core.h). Out: the ports' rules, and the node's. */
#include <errno.h>
#include <stdlib.h>

#include "core/sg_classes.h"
#include "core/sg_port.h"
#include "flow/sg_flow.h"
#include "http2/sg_inflate.h"
#include "learn/sg_learn_class.h"
#include "sensor/sg_sensors.h"

/* Policies compiled for existing ports, not in force yet. */
struct pending {
	struct sg_ruleset **sets;
	__u32 count;
};

static void drop(struct pending *p)
{
	for (__u32 i = 0; i < p->count; i++)
		free(p->sets[i]);
	free(p->sets);
}

static int prepare(struct sg_core *core, const struct sg_node_view *view, struct pending *p)
{
	int error = 0;

	*p = (struct pending){ .sets = calloc(view->head->policies + 1UL, sizeof(struct sg_ruleset *)) };
	if (!p->sets)
		return -ENOMEM;
	for (__u32 i = 0; i < view->head->policies && !error; i++) {
		error = sg_policy_compile(&view->policies[i], NULL, &core->node, &p->sets[i]);
		if (!error) {
			p->count++;
			error = sg_port_of(core, view->policies[i].port_id) ? 0 : -ENOMEM;
		}
	}
	if (error)
		drop(p);
	return error;
}

static void enforce(struct sg_core *core, struct sg_ruleset *set)
{
	struct sg_port *port = core->ports[set->policy.port_id];

	free(port->rules);
	port->rules = set;
	core->deleted[set->policy.port_id] = 0;
	if (set->policy.flags & SG_POLICY_NO_CACHE)
		sg_flow_sweep_all(core);
}

static void enforce_all(struct sg_core *core, struct pending *p)
{
	for (__u32 i = 0; i < p->count; i++)
		enforce(core, p->sets[i]);
	free(p->sets);
}

int sg_core_policy_set(struct sg_core *core, const struct sg_policy *policy, const struct sg_rule *rules)
{
	struct sg_ruleset *set;
	int error = sg_policy_compile(policy, rules, &core->node, &set);

	if (error)
		return error;
	if (!sg_port_of(core, policy->port_id)) {
		free(set);
		return -ENOMEM;
	}
	enforce(core, set);
	return 0;
}

int sg_core_node_build(const struct sg_core *core, const void *bytes, __u32 length, struct sg_node **out)
{
	struct sg_node_view view;
	int error = sg_node_view(bytes, length, &view);

	/* Without it, names in QUIC cannot be read, which counts as such. */
	if (!error && view.head->conditions)
		sg_quic_crypto_load();
	/* The key never changes, so this thread may read it while the core works. */
	if (!error)
		error = sg_node_build(core->table.hash_key.k, &view, out);
	/* Requests of HTTP/2 are refused where it is not there. */
	if (!error && sg_node_view_asks(&view, SG_FIELDS_HTTP))
		sg_inflate_load(SG_INFLATE_LIBRARY);
	return error;
}

/* Let flows be scanned by the node's sensors from their next packet on. Those that look for what is looked for already give
 * way: streams go on. What is left over goes with the former node, which another thread frees. */
static void take_sensors(struct sg_core *core, struct sg_node *node, struct sg_node *former)
{
	struct sg_sensors **brought = sg_node_sensors(node), *fresh = *brought;

	*brought = NULL;
	if (!sg_sensors_same(core->sensors, fresh)) {
		sg_sensors_leave(core->sensors);
		core->sensors = sg_sensors_use(fresh);
	} else if (former) {
		*sg_node_sensors(former) = fresh;
	} else {
		sg_sensors_free(fresh);
	}
}

int sg_core_node_swap(struct sg_core *core, struct sg_node *node, __u32 class_version, const void *bytes,
		      __u32 length, struct sg_node **former)
{
	struct sg_node_view view;
	struct pending pending;
	int error = sg_node_view(bytes, length, &view);

	if (!error)
		error = prepare(core, &view, &pending);
	*former = error ? node : core->node;
	if (error)
		return error;
	if (!core->quics.crypto && view.head->conditions)
		core->quics.crypto = sg_quic_crypto_new();
	if (core->node)
		sg_node_follow(node, core->node, core->now_ns);
	take_sensors(core, node, core->node);
	core->node = node;
	sg_node_use_names(node, &core->named);
	sg_learn_regroup(core);
	sg_classes_use(core, class_version);
	enforce_all(core, &pending);
	return 0;
}

int sg_core_members_set(struct sg_core *core, const void *bytes, __u32 length)
{
	struct sg_node_view view;
	struct pending pending;
	int error = sg_node_view(bytes, length, &view);

	if (error || !core->node || view.head->rules || view.head->cidrs || view.head->fqdns || view.head->sensors)
		return error ? error : -EINVAL;
	error = prepare(core, &view, &pending);
	if (error)
		return error;
	error = sg_node_members_set(core->node, &view);
	for (__u32 i = 0; i < view.head->members; i++)
		if (view.members[i].family)
			sg_learn_class(core, view.members[i].family, view.members[i].address);
	if (error)
		drop(&pending);
	else
		enforce_all(core, &pending);
	return error;
}
