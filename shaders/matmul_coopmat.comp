// matmul on matrix units: see matmul_coopmat.glsl and coopmat.glsl. SPDX-License-Identifier: MIT
#version 450
#ifdef GL_KHR_cooperative_matrix
#extension GL_KHR_cooperative_matrix : require
#else
#extension GL_NV_cooperative_matrix : require
#endif
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "matmul_coopmat.glsl"
