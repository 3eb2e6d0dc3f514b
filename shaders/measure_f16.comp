// measure_f16: fused multiply-adds of pairs of 16-bit floats. SPDX-License-Identifier: MIT
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "args.h"

layout(push_constant) uniform Push { pd_args_measure args; };

#define VALUE         f16vec2
#define START(i)      f16vec2(vec2(i & 63u, i & 31u))
#define STEP(v, next) fma(next, f16vec2(vec2(args.factor)), v)
#define TO_FLOAT(v)   (float(v.x) + float(v.y))
#include "measure_peak.glsl"
