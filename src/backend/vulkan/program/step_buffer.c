/* A step's rows, outputs, page tables and workgroup counts into the words of the step buffer, whose
 * layout is in shaders/args.h.  SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "backend/vulkan/program/program.h"

static uint32_t write_tiles(const pd_program *p, const pd_step *step, uint32_t *words) {
    uint32_t n = 0;
    for (uint32_t first = 0, end; first < step->n_rows; first = end) {
        end = first + 1;
        while (end < step->n_rows && end - first < p->tile_rows &&
               step->rows[end].seq == step->rows[first].seq)
            end++;
        words[2 * n] = first;
        words[2 * n + 1] = end - first;
        n++;
    }
    return n;
}

static void write_tables(const pd_program *p, const pd_step *step, uint32_t *words) {
    for (uint32_t s = 0; s < step->n_seqs; s++) {
        const pd_page_table *t = &step->tables[s];
        uint32_t *to = words + s * p->layout.table_stride;
        if (t->n_pages == 0) continue; /* and no pages to copy from */
        memcpy(to, t->global_pages, t->n_pages * sizeof *to);
        memcpy(to + p->layout.max_pages, t->local_pages, t->n_pages * sizeof *to);
    }
}

static void write_grids(const pd_program *p, const uint32_t *counts, uint32_t *words) {
    for (uint32_t i = 0; i < p->n_grids; i++) {
        const pd_vk_grid *g = &p->grids[i];
        uint32_t *to = words + 4 * i;
        memcpy(to, g->groups, sizeof g->groups);
        uint32_t n = pd_div_up(counts[g->count], g->per_group);
        n = n > g->first ? n - g->first : 0;
        to[g->axis] = g->most && n > g->most ? g->most : n;
    }
}

static_assert(offsetof(pd_sample_params, mask) == 4 * PD_SAMPLE_MASK, "as the shaders have it");

/* How one output is drawn, which takes the highest value where nothing else is said. */
static void write_draw(const pd_program *p, const pd_sample_params *d, uint32_t out,
                       uint32_t *words) {
    const pd_vk_step_layout *l = &p->layout;
    uint32_t *draw = words + l->sampling_at + PD_SAMPLE_WORDS * out;
    uint32_t mask_at = l->masks_at + out * l->mask_words;
    draw[PD_SAMPLE_K] = draw[PD_SAMPLE_MASK] = 0;
    if (!d) return;
    memcpy(draw, d, 4 * PD_SAMPLE_MASK);
    if (!d->mask) return;
    draw[PD_SAMPLE_MASK] = mask_at - PD_STEP_STATE;
    memcpy(words + mask_at, d->mask, 4ul * l->mask_words);
}

/* A single step; run_ahead.c changes that. */
static void write_sampling(const pd_program *p, const pd_step *step, uint32_t *words) {
    uint32_t *state = words + PD_STEP_STATE;
    memset(state, 0, 4ul * (PD_STEP_ROWS - PD_STEP_STATE));
    state[PD_STATE_GO] = 1;
    for (uint32_t i = 0; i < step->n_outs; i++)
        write_draw(p, step->sampling ? &step->sampling[i] : NULL, i, words);
}

void pd_vk_write_step(pd_program *p, const pd_step *step) {
    uint32_t *words = (uint32_t *)(void *)p->step.mapped;
    const pd_vk_step_layout *l = &p->layout;
    uint32_t n_tiles = write_tiles(p, step, words + l->tiles_at);
    uint32_t counts[] = {[PD_VK_COUNT_NONE] = 1,
                         [PD_VK_COUNT_ROWS] = step->n_rows,
                         [PD_VK_COUNT_OUTS] = step->n_outs,
                         [PD_VK_COUNT_TILES] = n_tiles};
    words[0] = step->n_rows;
    words[1] = step->n_outs;
    words[2] = n_tiles;
    write_grids(p, counts, words + PD_STEP_DISPATCHES);
    memcpy(words + l->rows_at, step->rows, step->n_rows * sizeof *step->rows);
    memcpy(words + l->outs_at, step->out_rows, step->n_outs * sizeof *step->out_rows);
    write_sampling(p, step, words);
    write_tables(p, step, words + l->tables_at);
}
