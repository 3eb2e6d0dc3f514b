// matmul_coopmat without matrix units, for tests: see coopmat.glsl. SPDX-License-Identifier: MIT
#version 450
#define PD_COOPMAT_TWIN
#include "matmul_coopmat.glsl"
