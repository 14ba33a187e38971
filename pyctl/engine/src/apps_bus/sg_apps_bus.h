/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognises message brokers and coordination services by their first bytes. */
#ifndef SG_APPS_BUS_H
#define SG_APPS_BUS_H

#include "prefix/sg_prefix.h"

enum sg_match sg_app_kafka(const struct sg_prefix *prefix);
enum sg_match sg_app_amqp(const struct sg_prefix *prefix);
enum sg_match sg_app_mqtt(const struct sg_prefix *prefix);
enum sg_match sg_app_zookeeper(const struct sg_prefix *prefix);
enum sg_match sg_app_spark(const struct sg_prefix *prefix);

#endif
