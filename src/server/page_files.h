/* The files of the page in src/server/page, and the libraries that it uses, as
 * third_party/embed_page.cmake puts them into the program.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_PAGE_FILES_H
#define PD_SERVER_PAGE_FILES_H

#include <stddef.h>

typedef struct srv_page_file {
    const char *path, *content_type;
    const char *etag, *gzip_etag; /* with their quotes; two forms are two entities */
    const unsigned char *plain, *gzip;
    size_t n_plain, n_gzip;
} srv_page_file;

extern const srv_page_file srv_page_files[];
extern const size_t srv_page_file_count;

#endif
