/* report.html, as the build embeds it.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_REPORT_PAGE_H
#define PD_CLI_REPORT_PAGE_H

extern const char compare_report_page[]; /* ends with a zero */

#endif
