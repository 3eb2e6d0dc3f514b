/* What `format` asks of strings, as regular expressions.  SPDX-License-Identifier: MIT */
#ifndef PD_GRAMMAR_SCHEMA_FORMATS_H
#define PD_GRAMMAR_SCHEMA_FORMATS_H

/* A regular expression for the whole text; "": any text; NULL: the format is not known. What it
 * matches meets the format, but it may match less. */
const char *pd_schema_format(const char *name);

#endif
