// SPDX-License-Identifier: MIT
struct scale_args {
    uint n, factor;
};
