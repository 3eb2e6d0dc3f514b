/* See schema_formats.h. Days are those of their month, 29 February is in leap years alone. Years
 * begin at 0001, seconds end at 59. Names of hosts have up to four parts without doubled hyphens
 * (which would announce another alphabet), and the last begins with a letter; addresses of mail and
 * URIs are built from them. Where a format's international form allows more, it gets the same.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_formats.h"

#include <stddef.h>
#include <string.h>

/* ---- dates and times ------------------------------------------------------------------------- */

#define YEAR      "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
#define BY_FOUR   "(?:0[48]|[2468][048]|[13579][26])" /* 04, 08, ... 96 */
#define LEAP_YEAR "(?:[0-9]{2}" BY_FOUR "|" BY_FOUR "00)"
#define LONG      "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
#define SHORT     "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
#define FEBRUARY  "02-(?:0[1-9]|1[0-9]|2[0-8])"
#define DATE      "(?:" YEAR "-(?:" LONG "|" SHORT "|" FEBRUARY ")|" LEAP_YEAR "-02-29)"
#define CLOCK     "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
#define TIME      CLOCK ":[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-]" CLOCK ")"

/* The units that may follow one another: years, months, days; hours, minutes, seconds. */
#define COUNT    "[0-9]{1,6}"
#define SECONDS  COUNT "S"
#define MINUTES  COUNT "M(?:" SECONDS ")?"
#define HOURS    COUNT "H(?:" MINUTES ")?"
#define DAY_TIME "T(?:" HOURS "|" MINUTES "|" SECONDS ")"
#define DAYS     COUNT "D"
#define MONTHS   COUNT "M(?:" DAYS ")?"
#define YEARS    COUNT "Y(?:" MONTHS ")?"
#define DURATION "P(?:(?:" YEARS "|" MONTHS "|" DAYS ")(?:" DAY_TIME ")?|" DAY_TIME "|" COUNT "W)"

/* ---- names and addresses --------------------------------------------------------------------- */

#define LETTER    "[A-Za-z0-9]"
#define PART      LETTER "{1,12}(?:-" LETTER "{1,12}){0,3}"
#define LAST_PART "[A-Za-z]" LETTER "{0,11}(?:-" LETTER "{1,12}){0,3}"
#define HOST      "(?:" PART "\\.){0,3}" LAST_PART
#define MAIL_WORD "[A-Za-z0-9_+-]{1,30}"
#define EMAIL     MAIL_WORD "(?:\\." MAIL_WORD ")?@(?:" PART "\\.){1,3}[A-Za-z]{2,12}"

#define BYTE "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4 "(?:" BYTE "\\.){3}" BYTE
#define H16  "[0-9A-Fa-f]{1,4}"
#define IPV6                                                                                       \
    "(?:(?:" H16 ":){7}" H16 "|(?:" H16 ":){1,7}:|(?:" H16 ":){1,6}:" H16 "|(?:" H16               \
    ":){1,5}(?::" H16 "){2}|(?:" H16 ":){1,4}(?::" H16 "){3}|(?:" H16 ":){1,3}(?::" H16            \
    "){4}|(?:" H16 ":){1,2}(?::" H16 "){5}|" H16 ":(?::" H16 "){6}|:(?::" H16 "){1,7}|::)"

#define URI_CHAR "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
#define URI_TAIL "(?:" URI_CHAR "|[/?])*"
#define URI                                                                                        \
    "[a-z]{2,10}://" HOST "(?::[1-9][0-9]{0,3})?(?:/" URI_CHAR "*)*(?:\\?" URI_TAIL                \
    ")?(?:#" URI_TAIL ")?"

#define HEX     "[0-9A-Fa-f]"
#define UUID    HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}"
#define POINTER "(?:/(?:[^~/]|~[01])*)*"

static const struct {
    const char *name, *pattern;
} FORMATS[] = {
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE "T" TIME},
    {"duration", DURATION},
    {"email", EMAIL},
    {"idn-email", EMAIL},
    {"hostname", HOST},
    {"idn-hostname", HOST},
    {"ipv4", IPV4},
    {"ipv6", IPV6},
    {"uri", URI},
    {"uri-reference", URI},
    {"iri", URI},
    {"iri-reference", URI},
    {"uuid", UUID},
    {"json-pointer", POINTER},
    {"password", ""},
    {"binary", ""},
};

const char *pd_schema_format(const char *name) {
    for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++)
        if (strcmp(FORMATS[i].name, name) == 0) return FORMATS[i].pattern;
    return NULL;
}
