/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognises network services by their first bytes. */
#ifndef SG_APPS_NET_H
#define SG_APPS_NET_H

#include "prefix/sg_prefix.h"

enum sg_match sg_app_dns(const struct sg_prefix *prefix);
enum sg_match sg_app_dhcp(const struct sg_prefix *prefix);
enum sg_match sg_app_ntp(const struct sg_prefix *prefix);
enum sg_match sg_app_snmp(const struct sg_prefix *prefix);
enum sg_match sg_app_syslog(const struct sg_prefix *prefix);
enum sg_match sg_app_tftp(const struct sg_prefix *prefix);
enum sg_match sg_app_kerberos(const struct sg_prefix *prefix);
enum sg_match sg_app_ldap(const struct sg_prefix *prefix);
enum sg_match sg_app_nfs(const struct sg_prefix *prefix);

#endif
