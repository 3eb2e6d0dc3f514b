/* Which version the library is; the numbers stand in peridot.h alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "peridot.h"

const char *pd_version(uint32_t numbers[3]) {
    if (numbers) {
        numbers[0] = PD_VERSION_MAJOR;
        numbers[1] = PD_VERSION_MINOR;
        numbers[2] = PD_VERSION_PATCH;
    }
    return PD_VERSION_STRING;
}
