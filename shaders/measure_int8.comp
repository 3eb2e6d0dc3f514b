// measure_int8: accumulated dot products of four 8-bit integers, OpSDotKHR of
// SPV_KHR_integer_dot_product. SPDX-License-Identifier: MIT
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_spirv_intrinsics : require
#include "args.h"

layout(push_constant) uniform Push { pd_args_measure args; };

// capabilities DotProductKHR and DotProductInput4x8BitPackedKHR; format 0: four bytes of a word
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot4(int a, int b, spirv_literal int format);

#define VALUE         int
#define START(i)      int(i)
#define STEP(v, next) (v + dot4(next, floatBitsToInt(args.factor), 0))
#define TO_FLOAT(v)   float(v)
#include "measure_peak.glsl"
