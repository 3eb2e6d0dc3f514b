// matmul with f32 arithmetic, rows of x in any format. SPDX-License-Identifier: MIT
#version 450
#include "args.h"
#include "matmul.glsl"
