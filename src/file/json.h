/* JSON files.  SPDX-License-Identifier: MIT */
#ifndef PD_FILE_JSON_H
#define PD_FILE_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* NULL unless the whole text is one JSON value: what follows it, spaces aside, is damage. */
cJSON *pd_json_parse(const char *text, size_t n);

#endif
