/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognisers of HTTP and of what looks like it. */
#ifndef SG_APPS_WEB_H
#define SG_APPS_WEB_H

#include "prefix/sg_prefix.h"

enum sg_match sg_app_http(const struct sg_prefix *prefix);
enum sg_match sg_app_websocket(const struct sg_prefix *prefix);
enum sg_match sg_app_elasticsearch(const struct sg_prefix *prefix);
enum sg_match sg_app_http2(const struct sg_prefix *prefix);
enum sg_match sg_app_grpc(const struct sg_prefix *prefix);
enum sg_match sg_app_etcd(const struct sg_prefix *prefix);
enum sg_match sg_app_rtsp(const struct sg_prefix *prefix);
enum sg_match sg_app_sip(const struct sg_prefix *prefix);

#endif
