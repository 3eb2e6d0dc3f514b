/* See prompt.h.  SPDX-License-Identifier: MIT */
#include "cli/prompt.h"

pd_status cli_prompt_read(const cli_options *o, cli_prompt *p, pd_error *err) {
    PD_TRY(cli_images_read(o, &p->images, err));
    PD_TRY(cli_read_text(o, &p->text, &p->n_text, err));
    if (p->n_text == 0 && !cli_given(o, OPT_RAW))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the prompt is empty");
    PD_TRY(cli_check_utf8("the prompt", p->text, p->n_text, err));
    PD_TRY(cli_read_system(o, &p->system, &p->n_system, err));
    if (p->system && cli_given(o, OPT_RAW))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--raw knows no --system-prompt");
    if (cli_given(o, OPT_PARSE_SPECIAL) && !cli_given(o, OPT_RAW))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--parse-special needs --raw");
    return cli_images_place(&p->images, p->text, &p->n_text, err);
}

static pd_status encode_once(const cli_options *o, const pd_model *model, cli_prompt *p,
                             size_t n_max, pd_error *err) {
    if (cli_given(o, OPT_RAW)) {
        pd_tokenize_desc desc = {.parse_special = cli_given(o, OPT_PARSE_SPECIAL),
                                 .images = p->images.places,
                                 .n_images = p->images.n_places};
        return pd_tokenize(model, p->text, p->n_text, &desc, p->ids, n_max, &p->n_ids, err);
    }
    pd_chat_turn turns[2] = {{.role = "system", .text = p->system, .n_bytes = p->n_system},
                             {"user", p->text, p->n_text, p->images.places, p->images.n_places}};
    return pd_chat_encode(model, p->system ? turns : turns + 1, p->system ? 2 : 1, p->ids, n_max,
                          &p->n_ids, err);
}

pd_status cli_prompt_encode(const cli_options *o, const pd_model *model, cli_prompt *p,
                            pd_error *err) {
    enum { TEMPLATE_IDS = 64 };
    size_t n_max = pd_tokenize_bound(p->n_text + p->n_system) + TEMPLATE_IDS +
                   p->images.list.n * PD_IMAGE_MAX_IDS;
    p->ids = pd_alloc(n_max, sizeof *p->ids);
    if (!p->ids)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the prompt's tokens");
    return encode_once(o, model, p, n_max, err);
}

pd_prompt cli_prompt_view(const cli_prompt *p) {
    return (pd_prompt){.ids = p->ids,
                       .n_ids = p->n_ids,
                       .images = p->images.list.images,
                       .n_images = p->images.list.n};
}

void cli_prompt_free(cli_prompt *p) {
    cli_images_free(&p->images);
    pd_free(p->system);
    pd_free(p->ids);
    pd_free(p->text);
}
