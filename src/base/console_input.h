/* Bytes from standard input, as soon as there are some, with signals let in while it waits.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_CONSOLE_INPUT_H
#define PD_BASE_CONSOLE_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/* From now on it is noticed when the terminal gets another size. */
void pd_input_watch_size(void);
bool pd_input_size_changed(void); /* since it was last asked */

typedef enum pd_input { PD_INPUT_BYTES, PD_INPUT_SIGNAL, PD_INPUT_END } pd_input;
/* Waits for bytes, up to `most`, or until a signal has made `is_asked` true, which is asked before
 * it waits as well. */
pd_input pd_input_wait(char *bytes, size_t most, size_t *n, bool (*is_asked)(void));

#endif
