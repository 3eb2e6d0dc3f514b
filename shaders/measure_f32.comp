// measure_f32: 32-bit fused multiply-adds. SPDX-License-Identifier: MIT
#version 450
#extension GL_EXT_control_flow_attributes : require
#include "args.h"

layout(push_constant) uniform Push { pd_args_measure args; };

#define VALUE         float
#define START(i)      float(i)
#define STEP(v, next) fma(next, args.factor, v)
#define TO_FLOAT(v)   (v)
#include "measure_peak.glsl"
