/* Constrained answers: JSON that fits a schema, texts of a grammar or a regular expression, one of
 * some choices. docs/constrained.md says what of each is understood.
 *
 *     pd_grammar *grammar;
 *     pd_grammar_create(model, PD_GRAMMAR_JSON_SCHEMA, schema, strlen(schema), &grammar, &err);
 *     sampler_desc.grammar = grammar;
 *
 * Whatever the model makes of it, the tokens that are drawn then write such an answer. Where so few
 * tokens are left that an answer must come to its end, only those are drawn that lead to it; an
 * answer is cut off only where no complete one had room from the beginning.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_GRAMMAR_H
#define PERIDOT_GRAMMAR_H

#include "peridot.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pd_grammar_kind {
    PD_GRAMMAR_JSON,        /* any JSON object; the text is not looked at */
    PD_GRAMMAR_JSON_SCHEMA, /* draft 2020-12 */
    PD_GRAMMAR_GBNF,        /* as llama.cpp reads it */
    PD_GRAMMAR_REGEX,       /* ECMA-262, of the whole answer */
    PD_GRAMMAR_CHOICES,     /* a JSON list of the texts that an answer may be */
    PD_GRAMMAR_TOOLS        /* calls of functions, {"name": ..., "parameters": {...}}, or words:
                               {"tools": [{"name", "parameters": SCHEMA}, ...], "required": whether
                               it has to be a call, "parallel": whether a list of them may be} */
} pd_grammar_kind;

/* text [n]: UTF-8; not kept. A grammar is for this model's tokens; any number of samplers, of any
 * threads, may use it; it must outlive them, and the model must outlive it. Errors: ARGUMENT (what
 * of the text is not understood, not supported, or cannot be met, and where), MEMORY_HOST,
 * UNSUPPORTED. */
pd_status pd_grammar_create(pd_model *model, pd_grammar_kind kind, const char *text, size_t n,
                            pd_grammar **out, pd_error *err);
void pd_grammar_destroy(pd_grammar *grammar); /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif
