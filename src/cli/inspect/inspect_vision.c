/* What `peridot inspect` tells of an image encoder.  SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/inspect/inspect.h"

pd_status inspect_bind_vision(inspection *in, pd_error *err) {
    in->vision_weights = pd_alloc(1, sizeof *in->vision_weights);
    if (!in->vision_weights) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory");
    pd_status status = pd_vision_config_read(in->file, &in->vision, &in->why_not);
    if (status == PD_OK)
        status = pd_vision_weights_bind(in->file, &in->vision, in->vision_weights, &in->why_not);
    in->is_vision = status == PD_OK;
    in->why_not.status = status;
    return status == PD_ERR_MEMORY_HOST ? PD_RAISE(err, status, "%s", in->why_not.message) : PD_OK;
}

void inspect_print_vision(const inspection *in) {
    const pd_vision_config *c = &in->vision;
    const pd_vision_weights *w = in->vision_weights;
    printf("\nimage encoder\n  %s, %.2f million parameters\n", c->name, (double)w->n_params / 1e6);
    printf("  images of %u x %u pixels in %u patches of %u become %u tokens of %u values\n",
           c->image_size, c->image_size, c->grid * c->grid, c->patch_size, c->n_tokens,
           c->n_embd_out);
    printf("  %u layers in %s, width %u, %u heads of %u, feed-forward %u\n", c->n_layers,
           pd_type_name((uint32_t)w->main_type), c->n_embd, c->n_heads, c->head_dim, c->n_ff);
}
