/* Finds the image encoder's file that belongs to a model, by its name.
 *
 * People keep both in one folder, under names like these:
 *
 *     gemma-3-4b-it-q4_0.gguf     mmproj-model-f16-4B.gguf, mmproj-model-f16.gguf
 *     gemma-3-4b-it-Q4_K_M.gguf   mmproj-gemma-3-4b-it-f16.gguf, gemma-3-4b-it-mmproj.gguf
 *     model.gguf                  mmproj.gguf, mmproj-F16.gguf
 *
 * The rule. Candidates are the names in the model's folder that contain "mmproj" and end in
 * ".gguf", the model itself aside; case never counts. Names are taken as words of letters and
 * digits, "mmproj" and "model" left out. A word such as 4b, 12b or 270m is a size.
 *  1. A candidate that names another size than the model does is none.
 *  2. Of the rest, those that name the model's size come first.
 *  3. Among these, those whose name begins with the most words of the model's name.
 * When one is left, that is it; when several are, the user must say which.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_MMPROJ_FIND_H
#define PD_MODEL_MMPROJ_FIND_H

#include "base/error.h"

/* *out: the path, in a fresh string (pd_free), or NULL when there is no candidate. The file was not
 * opened: pd_vision_config_read and pd_vision_check_text judge it. Errors: ARGUMENT (several; the
 * sentence lists them), IO (the folder cannot be listed), MEMORY_HOST. */
pd_status pd_mmproj_find(const char *model_path, char **out, pd_error *err);

#endif
