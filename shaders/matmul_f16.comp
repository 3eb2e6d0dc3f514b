// matmul with packed f16 arithmetic: rows of x in halves. SPDX-License-Identifier: MIT
#version 450
#include "args.h"
#define DOT_F16
#include "matmul.glsl"
