/* The model in the box: where no other is named, the toy that lies beside the program
 * (tools/demo/README.md). PERIDOT_TOY names its file instead; empty: there is none.
 *
 * SPDX-License-Identifier: MIT
 */

#include "base/env.h"
#include "base/folder.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "base/process.h"
#include "cli/commands.h"

static const char file_name[] = "share/peridot/pip-toy-q4_0.gguf";

static void set(cli_options *o, const char *path) {
    o->values[OPT_MODEL] = (cli_value){.given = 1, .text = path};
    o->uses_toy = true;
}

static bool take_from(cli_options *o, const char *path) {
    bool found = path && pd_path_can_read(path);
    if (found) set(o, path);
    return found;
}

/* As installed, below the prefix that bin/ is in; else beside the program, as built. */
static void take(cli_options *o) {
    const char *named = pd_env("PERIDOT_TOY");
    if (named && *named) set(o, named); /* whether there is such a file is said by who opens it */
    if (named) return;
    char *program = pd_program_path();
    int n = program ? (int)pd_path_name_at(program) : 0;
    if (n > 0 && !take_from(o, pd_arena_printf(&o->arena, "%.*s../%s", n, program, file_name)))
        take_from(o, pd_arena_printf(&o->arena, "%.*s%s", n, program, file_name));
    pd_free(program);
}

void cli_take_toy(cli_options *o) {
    bool takes_model = cli_option_get(OPT_MODEL)->commands >> o->command & 1;
    bool named = o->values[OPT_MODEL].given || cli_given(o, OPT_HF_REPO) || o->n_args > 0;
    if (takes_model && !named) take(o);
}

void cli_tell_toy(const cli_options *o) {
    if (!o->uses_toy || cli_given(o, OPT_QUIET)) return;
    fputs("peridot: no model was named: this is Pip, a toy of 3 million parameters; a real one: "
          "-hf ggml-org/gemma-3-4b-it-GGUF\n",
          stderr);
}
