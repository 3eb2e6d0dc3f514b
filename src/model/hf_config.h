/* Hyper-parameters of a Gemma 3 checkpoint in Hugging Face's layout, read from its config.json and
 * checked.
 *
 * The file is flat (text models: model_type gemma3_text) or nests text_config and vision_config
 * (gemma3). Released files of the larger models name only what differs from the defaults of
 * transformers' configuration_gemma3.py; those defaults are in hf_config.c. Rope settings have an
 * old form (rope_theta, rope_local_base_freq, rope_scaling) and a new one (rope_parameters).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_HF_CONFIG_H
#define PD_MODEL_HF_CONFIG_H

#include "model/config.h"
#include "model/vision_config.h"

/* What generation_config.json recommends; 0: not said. */
typedef struct pd_hf_sampling {
    uint32_t top_k;
    float top_p, temp;
} pd_hf_sampling;

typedef struct pd_hf_config {
    pd_config text;    /* n_vocab: 0 when the file leaves it to the tokenizer */
    float rope_factor; /* positions of global layers are divided by it; 1: no scaling */
    uint32_t pattern;  /* every pattern-th layer is global; 0: no such rule */
    bool tied;         /* the embedding is the output matrix too */
    uint32_t eos;      /* 0: not said, or several */
    pd_hf_sampling sampling;
    bool has_vision;
    pd_vision_config vision;
} pd_hf_config;

/* Reads FOLDER/config.json and, if they are there, generation_config.json for the sampler and
 * preprocessor_config.json for the colours' range; of these two, values of no sense count as
 * absent. Errors: IO, FORMAT (not JSON), UNSUPPORTED (another family, or something that Peridot
 * does not compute or a GGUF file cannot say), MODEL (a field absurd; the sentence names it, what
 * was expected and what was found). */
pd_status pd_hf_config_read(const char *folder, pd_hf_config *out, pd_error *err);

#endif
