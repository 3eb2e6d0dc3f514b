/* Telling the system's manager of services how it goes; nothing where there is none.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_NOTIFY_H
#define PD_CLI_NOTIFY_H

void cli_notify_ready(void);
void cli_notify_stopping(void);

#endif
