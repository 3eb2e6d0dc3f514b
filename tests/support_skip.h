/* A test that skips itself says why: cmocka's skip() alone leaves the reader guessing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_SKIP_H
#define PD_TEST_SUPPORT_SKIP_H

#define skip_because(reason)                                                                       \
    do {                                                                                           \
        print_message("skipped: %s\n", reason);                                                    \
        skip();                                                                                    \
    } while (0)

#endif
