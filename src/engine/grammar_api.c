/* Grammars for a model's tokens, which all of them share.  SPDX-License-Identifier: MIT */
#include "engine/model.h"
#include "grammar/grammar.h"

/* Made by the first who asks; of two at once, one makes it in vain. */
static pd_status get_tree(pd_model *m, pd_token_tree **out, pd_error *err) {
    pd_token_tree *other = NULL;
    *out = atomic_load(&m->token_tree);
    if (*out) return PD_OK;
    PD_TRY(pd_token_tree_create(m->vocab, out, err));
    if (atomic_compare_exchange_strong(&m->token_tree, &other, *out)) return PD_OK;
    pd_token_tree_destroy(*out);
    *out = other;
    return PD_OK;
}

pd_status pd_grammar_create(pd_model *model, pd_grammar_kind kind, const char *text, size_t n,
                            pd_grammar **out, pd_error *err) {
    pd_token_tree *tree;
    PD_NEED(err, model);
    PD_NEED(err, out);
    *out = NULL;
    if (kind != PD_GRAMMAR_JSON) PD_NEED(err, text);
    PD_TRY(get_tree(model, &tree, err));
    return pd_grammar_make(tree, kind, text, n, out, err);
}

void pd_grammar_destroy(pd_grammar *grammar) {
    pd_grammar_free(grammar);
}
