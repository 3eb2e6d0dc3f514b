/* The tables of the command line: subcommands, options, and which options are the sampler's.
 * Nothing else lists them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_OPTIONS_OPTION_TABLE_H
#define PD_OPTIONS_OPTION_TABLE_H

/* X(id, name, function, how many arguments without a flag, what must be given, summary). The
 * function's prototype and main's table are made of it. */
#define CLI_COMMAND_LIST(X)                                                                        \
    X(RUN, "run", cli_run, 2, "-m MODEL.gguf -p TEXT", "answer one prompt")                        \
    X(CHAT, "chat", cli_chat, 1, "-m MODEL.gguf", "hold a conversation")                           \
    X(SERVE, "serve", cli_serve, 0, "-m MODEL.gguf", "answer over HTTP, as OpenAI's API does")     \
    X(BENCH, "bench", cli_bench, 1, "-m MODEL.gguf", "measure prompt and generation speed")        \
    X(DEVICES, "devices", cli_devices, 1, "",                                                      \
      "list the devices that --device can name, test them")                                        \
    X(INSPECT, "inspect", cli_inspect, 2, "MODEL.gguf [OTHER.gguf]",                               \
      "show what a GGUF file holds, and its plan; or how two differ")                              \
    X(ESTIMATE, "estimate", cli_estimate, 1, "-m MODEL.gguf",                                      \
      "tell how much memory a model takes, and what context fits")                                 \
    X(VERIFY, "verify", cli_verify, 1, "FILE.gguf",                                                \
      "read every value of a GGUF file and say what is wrong")                                     \
    X(QUANTIZE, "quantize", cli_quantize, 4, "IN.gguf OUT.gguf TYPE [THREADS]",                    \
      "write a model with its matrices in another type")                                           \
    X(CONVERT, "convert", cli_convert, 1, "DIR -o OUT.gguf",                                       \
      "turn a checkpoint with safetensors files into GGUF files")                                  \
    X(TOKENIZE, "tokenize", cli_tokenize, 0, "-m MODEL.gguf -p TEXT", "turn text into token ids")  \
    X(DETOKENIZE, "detokenize", cli_detokenize, 0, "-m MODEL.gguf --tokens IDS",                   \
      "turn token ids into text")                                                                  \
    X(LOGITS, "logits", cli_logits, 0, "-m MODEL.gguf --tokens IDS -o OUT.f32",                    \
      "write the logits of every position to a file")                                              \
    X(SCORE, "score", cli_score, 0, "-m MODEL.gguf -f TEXT",                                       \
      "perplexity of a text, or how far a model is from another")                                  \
    X(COMPARE, "compare", cli_compare, 0, "-m MODEL.gguf -p TEXT",                                 \
      "does a device compute the right thing? operation by operation beside a reference")          \
    X(RECORD, "record", cli_record, 256, "",                                                       \
      "measure a device with models of every size, for a table of devices")                        \
    X(EMBED_IMAGE, "embed-image", cli_embed_image, 0, "-m MODEL.gguf --image FILE -o OUT.f32",     \
      "write the rows that an image becomes to a file")                                            \
    X(FETCH, "fetch", cli_fetch, 1, "USER/REPO[:TYPE]",                                            \
      "download a model from the Hugging Face hub")                                                \
    X(LIST, "list", cli_list, 0, "", "list the models that were fetched")                          \
    X(SYNTH, "synth", cli_synth, 0, "-o OUT.gguf", "write a model of any size with random weights")

#define FOR(command)   (1u << CLI_##command)
#define FOR_ALL        0xffffffffu
#define FOR_ANSWER     (FOR(RUN) | FOR(CHAT))
#define FOR_SAMPLER    (FOR_ANSWER | FOR(SERVE))
#define FOR_COMPUTE    (FOR_SAMPLER | FOR(BENCH) | FOR(LOGITS) | FOR(SCORE) | FOR(EMBED_IMAGE))
#define FOR_DEVICE     (FOR_COMPUTE | FOR(ESTIMATE))
#define FOR_IMAGES     (FOR_ANSWER | FOR(LOGITS) | FOR(EMBED_IMAGE) | FOR(COMPARE))
#define FOR_WEIGHTS    (FOR_DEVICE | FOR(COMPARE)) /* and choose devices in their own way */
#define FOR_MODEL      (FOR_WEIGHTS | FOR(INSPECT) | FOR(VERIFY) | FOR(TOKENIZE) | FOR(DETOKENIZE))
#define FOR_TEXT       (FOR(RUN) | FOR(TOKENIZE) | FOR(SCORE) | FOR(COMPARE))
#define CLI_TYPE_NAMES "q4_0|q4_1|q5_0|q5_1|q8_0|q4_k|q5_k|q6_k|f16|bf16|f32"

/* X(id, kind, name, alias, environment, min, max, default, value, commands, help) */
#define CLI_OPTION_LIST(X)                                                                         \
    X(MODEL, FILE, "--model", "-m", "PERIDOT_MODEL", 0, 0, NULL, "FILE", FOR_MODEL,                \
      "the model, a GGUF file (of a split one, its first part)")                                   \
    X(HF_REPO, STRING, "--hf-repo", "-hf", NULL, 0, 0, NULL, "USER/REPO", FOR_MODEL,               \
      "the model from the Hugging Face hub, fetched unless it is there; also USER/REPO:TYPE, see " \
      "fetch")                                                                                     \
    X(PROMPT, STRING, "--prompt", "-p", NULL, 0, 0, NULL, "TEXT", FOR_TEXT,                        \
      "the text; without -p and -f it is read from standard input")                                \
    X(CHAT_PROMPT, STRING, "--prompt", "-p", NULL, 0, 0, NULL, "TEXT", FOR(CHAT),                  \
      "the first message; with standard input from a file or pipe the only one (default: all of "  \
      "that is)")                                                                                  \
    X(FILE, FILE, "--file", "-f", NULL, 0, 0, NULL, "FILE", FOR_TEXT,                              \
      "take the text from a file, byte for byte (-: standard input)")                              \
    X(IMAGE, FILES, "--image", NULL, NULL, 0, 0, NULL, "FILE", FOR_IMAGES,                         \
      "a picture: PNG, JPEG, WebP, GIF, BMP, TGA or PNM; may be repeated. It goes where the text " \
      "says <image>, or before the text")                                                          \
    X(MMPROJ, FILE, "--mmproj", NULL, "PERIDOT_MMPROJ", 0, 0, NULL, "FILE",                        \
      FOR_IMAGES | FOR(ESTIMATE) | FOR(SERVE),                                                     \
      "the model's image encoder, a GGUF file (default: the one beside the model; estimate: "      \
      "none)")                                                                                     \
    X(PAN_AND_SCAN, FLAG, "--pan-and-scan", NULL, NULL, 0, 0, NULL, NULL,                          \
      FOR_ANSWER | FOR(COMPARE), "show long pictures in up to four windows as well")               \
    X(PIXELS, FILE, "--pixels", NULL, NULL, 0, 0, NULL, "FILE", FOR(EMBED_IMAGE),                  \
      "ready pixels instead of a picture: float32 [3, size, size] in [-1, 1]")                     \
    X(DUMP_PIXELS, OUTPUT, "--dump-pixels", NULL, NULL, 0, 0, NULL, "FILE", FOR(EMBED_IMAGE),      \
      "write what the picture became, in the form that --pixels takes")                            \
    X(IMAGE_PROFILE, FLAG, "--profile", NULL, NULL, 0, 0, NULL, NULL, FOR(EMBED_IMAGE),            \
      "the time of each kind of operation, on standard error")                                     \
    X(SYSTEM, STRING, "--system-prompt", "-sys", NULL, 0, 0, NULL, "TEXT",                         \
      FOR_ANSWER | FOR(COMPARE), "instructions put in front of the prompt")                        \
    X(SYSTEM_FILE, FILE, "--system-prompt-file", "-sysf", NULL, 0, 0, NULL, "FILE",                \
      FOR_ANSWER | FOR(COMPARE), "take these from a file")                                         \
    X(CHAT_TEMPLATE, CHOICE, "--chat-template", NULL, NULL, 0, 0, NULL, "gemma|none", FOR(CHAT),   \
      "gemma: turns in Gemma's chat template; none: one text, which messages and answers go on "   \
      "with (default: by the file; none for pre-trained models)")                                  \
    X(CONTEXT_SHIFT, FLAG, "--context-shift", NULL, NULL, 0, 0, NULL, NULL, FOR(CHAT),             \
      "when the context is full, forget the oldest questions with their answers")                  \
    X(MULTILINE, FLAG, "--multiline-input", "-mli", NULL, 0, 0, NULL, NULL, FOR(CHAT),             \
      "Enter makes a new line, an empty line or Ctrl-D sends the message")                         \
    X(COLOR, CHOICE, "--color", NULL, NULL, 0, 0, "auto", "auto|always|never", FOR(CHAT),          \
      "colour of the roles; auto: on a terminal, unless NO_COLOR is set")                          \
    X(RAW, FLAG, "--raw", NULL, NULL, 0, 0, NULL, NULL, FOR(RUN) | FOR(COMPARE),                   \
      "no chat template: <bos> and the text as it is")                                             \
    X(PREDICT, INT, "--predict", "-n", "PERIDOT_PREDICT", -1, 0x7fffffff, "-1", "N", FOR_SAMPLER,  \
      "tokens to generate at most; -1: until the end or a full context")                           \
    X(COMPARE_N, INT, "--predict", "-n", NULL, 1, 100000, "32", "N", FOR(COMPARE),                 \
      "tokens of the reference's answer, which the devices follow, and of their own")              \
    X(COMPARE_STEPS, INT, "--steps", NULL, NULL, 0, 100000, "4", "N", FOR(COMPARE),                \
      "steps behind the prompt whose operations are compared one by one")                          \
    X(COMPARE_DEPTH, LIST, "--n-depth", "-d", NULL, 0, 0, NULL, "N,..", FOR(COMPARE),              \
      "also time the devices with so many tokens in the context: a prompt of 128, an answer of "   \
      "16")                                                                                        \
    X(COMPARE_DEVICES, LIST, "--devices", "-dev", NULL, 0, 0, NULL, "NAME,..", FOR(COMPARE),       \
      "what to compare: names as of --device (default: every GPU, and cpu)")                       \
    X(REFERENCE, DEVICE, "--reference", NULL, NULL, 0, 0, "cpu-ref", "NAME", FOR(COMPARE),         \
      "what to compare with")                                                                      \
    X(COMPARE_SEED, INT, "--seed", "-s", NULL, 0, 9007199254740992.0, "1", "S", FOR(COMPARE),      \
      "of the drawn answers, at Gemma's temperature of 1, top-k of 64 and top-p of 0.95")          \
    X(COMPARE_HTML, OUTPUT, "--html", NULL, NULL, 0, 0, NULL, "FILE", FOR(COMPARE),                \
      "write the report as a page for a browser, with all that --json has")                        \
    X(IGNORE_EOS, FLAG, "--ignore-eos", NULL, NULL, 0, 0, NULL, NULL, FOR(RUN),                    \
      "go on behind <eos> and <end_of_turn>")                                                      \
    X(IDS, FLAG, "--ids", NULL, NULL, 0, 0, NULL, NULL, FOR(RUN),                                  \
      "print the generated token ids instead of text")                                             \
    X(TIMINGS, FLAG, "--timings", NULL, "PERIDOT_TIMINGS", 0, 0, NULL, NULL, FOR(RUN),             \
      "all timings behind the answer, as with -v (default: a line of them on a terminal)")         \
    X(CHAT_TIMINGS, FLAG, "--timings", NULL, "PERIDOT_TIMINGS", 0, 0, NULL, NULL, FOR(CHAT),       \
      "a line of figures behind each answer")                                                      \
    X(QUIET, FLAG, "--quiet", "-q", "PERIDOT_QUIET", 0, 0, NULL, NULL, FOR_SAMPLER,                \
      "no timings and no progress")                                                                \
    X(NO_BOS, FLAG, "--no-bos", NULL, NULL, 0, 0, NULL, NULL, FOR(TOKENIZE),                       \
      "do not begin with <bos>")                                                                   \
    X(PARSE_SPECIAL, FLAG, "--parse-special", NULL, NULL, 0, 0, NULL, NULL, FOR_TEXT,              \
      "control tokens spelled in the text become tokens (run: with --raw)")                        \
    X(SHOW_SPECIAL, FLAG, "--show-special", NULL, NULL, 0, 0, NULL, NULL,                          \
      FOR(RUN) | FOR(DETOKENIZE), "print control tokens instead of hiding them")                   \
    X(TOKENS, STRING, "--tokens", NULL, NULL, 0, 0, NULL, "IDS",                                   \
      FOR(LOGITS) | FOR(DETOKENIZE) | FOR(SCORE),                                                  \
      "token ids with commas or spaces between; @FILE reads them from a file")                     \
    X(TEMP, REAL, "--temp", NULL, "PERIDOT_TEMP", 0, 1000, "1.0", "T", FOR_SAMPLER,                \
      "temperature; 0: always the most probable token")                                            \
    X(TOP_K, INT, "--top-k", NULL, "PERIDOT_TOP_K", 0, 0x7fffffff, "64", "K", FOR_SAMPLER,         \
      "draw among the K most probable tokens; 0: all")                                             \
    X(TOP_P, REAL, "--top-p", NULL, "PERIDOT_TOP_P", 0, 1, "0.95", "P", FOR_SAMPLER,               \
      "draw among the fewest tokens that reach this probability; 1: all")                          \
    X(MIN_P, REAL, "--min-p", NULL, "PERIDOT_MIN_P", 0, 1, "0", "P", FOR_SAMPLER,                  \
      "drop tokens below this share of the best one's probability; 0: none")                       \
    X(REPEAT_PENALTY, REAL, "--repeat-penalty", NULL, NULL, 0, 1000, "1", "R", FOR_SAMPLER,        \
      "divide the logits of recent tokens by this, multiply negative ones; 1: off")                \
    X(PRESENCE_PENALTY, REAL, "--presence-penalty", NULL, NULL, -2, 2, "0", "P", FOR_SAMPLER,      \
      "subtract this from the logits of recent tokens")                                            \
    X(FREQUENCY_PENALTY, REAL, "--frequency-penalty", NULL, NULL, -2, 2, "0", "P", FOR_SAMPLER,    \
      "subtract this for each time that a recent token occurs")                                    \
    X(REPEAT_LAST_N, INT, "--repeat-last-n", NULL, NULL, -1, 0x7fffffff, "64", "N", FOR_SAMPLER,   \
      "tokens that are recent, the prompt's included; -1: all, 0: none")                           \
    X(LOGIT_BIAS, LIST, "--logit-bias", "-l", NULL, 0, 0, NULL, "ID+BIAS", FOR_ANSWER,             \
      "add to the logit of a token: 15043+1, 15043-0.5; 15043-inf: never; may be repeated")        \
    X(JSON_SCHEMA, STRING, "--json-schema", "-j", NULL, 0, 0, NULL, "SCHEMA", FOR_ANSWER,          \
      "answer in JSON that fits this JSON schema; {}: in any JSON")                                \
    X(JSON_SCHEMA_FILE, FILE, "--json-schema-file", "-jf", NULL, 0, 0, NULL, "FILE", FOR_ANSWER,   \
      "the same with the schema in a file")                                                        \
    X(GRAMMAR, STRING, "--grammar", NULL, NULL, 0, 0, NULL, "GBNF", FOR_ANSWER,                    \
      "answer in this grammar, as llama.cpp writes them: root ::= \"yes\" | \"no\"")               \
    X(GRAMMAR_FILE, FILE, "--grammar-file", NULL, NULL, 0, 0, NULL, "FILE", FOR_ANSWER,            \
      "the same with the grammar in a file")                                                       \
    X(REGEX, STRING, "--regex", NULL, NULL, 0, 0, NULL, "REGEX", FOR_ANSWER,                       \
      "answer with what this regular expression matches as a whole")                               \
    X(CHOICE, TEXTS, "--choice", NULL, NULL, 0, 0, NULL, "TEXT", FOR_ANSWER,                       \
      "answer with one of the texts given; to be repeated")                                        \
    X(STOP, TEXTS, "--stop", "-r", NULL, 0, 0, NULL, "TEXT", FOR_ANSWER,                           \
      "end the answer before this text; may be repeated")                                          \
    X(LOG_PROBS, INT, "--logprobs", NULL, NULL, 0, 256, NULL, "N", FOR(RUN),                       \
      "each token's log-probability and those of the N most probable ones; with --json")           \
    X(SEED, INT, "--seed", "-s", "PERIDOT_SEED", -1, 9007199254740992.0, "-1", "S", FOR_SAMPLER,   \
      "of the random draws; -1: a new one each time")                                              \
    X(CTX_SIZE, INT, "--ctx-size", "-c", "PERIDOT_CTX_SIZE", 0, 16777216, NULL, "N", FOR(RUN),     \
      "positions of the context; 0: the model's own (default: what the prompt and -n need, or "    \
      "what memory holds)")                                                                        \
    X(CHAT_CTX, INT, "--ctx-size", "-c", "PERIDOT_CTX_SIZE", 0, 16777216, NULL, "N", FOR(CHAT),    \
      "positions of the context; 0: the model's own (default: 8192, or what the model has or "     \
      "memory holds)")                                                                             \
    X(BATCH, INT, "--batch-size", "-b", "PERIDOT_BATCH_SIZE", 1, 65536, "512", "N",                \
      FOR_SAMPLER | FOR(LOGITS) | FOR(SCORE) | FOR(ESTIMATE) | FOR(COMPARE),                       \
      "prompt tokens computed at once")                                                            \
    X(ESTIMATE_CTX, LIST, "--ctx-size", "-c", NULL, 0, 0, NULL, "N,..", FOR(ESTIMATE),             \
      "contexts to estimate, comma lists and ranges as a-b*factor; 0: the model's own (default: "  \
      "8192 positions, or what the model has)")                                                    \
    X(PARALLEL, INT, "--parallel", "-np", NULL, 1, 4096, "1", "N", FOR(ESTIMATE),                  \
      "sequences computed together, each with a context of its own")                               \
    X(SERVE_CTX, INT, "--ctx-size", "-c", "PERIDOT_CTX_SIZE", 0, 16777216, NULL, "N", FOR(SERVE),  \
      "positions of each sequence; 0: the model's own (default: 8192, or what the model has or "   \
      "memory holds)")                                                                             \
    X(SERVE_PARALLEL, INT, "--parallel", "-np", "PERIDOT_PARALLEL", 1, 64, NULL, "N", FOR(SERVE),  \
      "sequences computed at once (default: 8, or what memory holds)")                             \
    X(HOST, STRING, "--host", NULL, "PERIDOT_HOST", 0, 0, "127.0.0.1", "HOST", FOR(SERVE),         \
      "address to listen on; others than loopback let other machines ask")                         \
    X(PORT, INT, "--port", NULL, "PERIDOT_PORT", 0, 65535, "8080", "N", FOR(SERVE),                \
      "port to listen on; 0: any that is free")                                                    \
    X(SOCKET, STRING, "--socket", NULL, NULL, 0, 0, NULL, "PATH", FOR(SERVE),                      \
      "listen on this UNIX socket instead")                                                        \
    X(ALIAS, STRING, "--alias", "-a", NULL, 0, 0, NULL, "NAME", FOR(SERVE),                        \
      "what the model is called (default: the name in its file)")                                  \
    X(API_KEY, TEXTS, "--api-key", NULL, NULL, 0, 0, NULL, "KEY", FOR(SERVE),                      \
      "ask clients for this key; may be repeated. Others on the machine see it: a file is "        \
      "better, or "                                                                                \
      "PERIDOT_API_KEY")                                                                           \
    X(API_KEY_FILE, FILE, "--api-key-file", NULL, NULL, 0, 0, NULL, "FILE", FOR(SERVE),            \
      "keys, one on a line")                                                                       \
    X(CORS_ORIGINS, TEXTS, "--cors-origins", NULL, NULL, 0, 0, NULL, "ORIGIN", FOR(SERVE),         \
      "pages of this origin may read answers; *: all; may be repeated")                            \
    X(ANY_HOST, FLAG, "--allow-any-host", NULL, NULL, 0, 0, NULL, NULL, FOR(SERVE),                \
      "on loopback, take requests for other host names too")                                       \
    X(SSL_KEY, FILE, "--ssl-key-file", NULL, NULL, 0, 0, NULL, "FILE", FOR(SERVE),                 \
      "TLS: the private key, PEM")                                                                 \
    X(SSL_CERT, FILE, "--ssl-cert-file", NULL, NULL, 0, 0, NULL, "FILE", FOR(SERVE),               \
      "TLS: the certificate, PEM")                                                                 \
    X(HTTP_THREADS, INT, "--threads-http", NULL, NULL, 1, 256, "4", "N", FOR(SERVE),               \
      "threads that read requests and decode pictures")                                            \
    X(CONNECTIONS, INT, "--max-connections", NULL, NULL, 1, 65536, "1024", "N", FOR(SERVE),        \
      "connections at once")                                                                       \
    X(BODY_LIMIT, INT, "--max-body", NULL, NULL, 1, 2047, "64", "MiB", FOR(SERVE),                 \
      "largest request")                                                                           \
    X(RATE, REAL, "--rate-limit", NULL, NULL, 0, 1000000, "0", "N", FOR(SERVE),                    \
      "requests a second from one address; 0: no limit")                                           \
    X(PER_ADDRESS, INT, "--max-per-address", NULL, NULL, 0, 65536, "0", "N", FOR(SERVE),           \
      "connections of one address; 0: no limit")                                                   \
    X(TIMEOUT, INT, "--timeout", "-to", NULL, 1, 86400, "600", "S", FOR(SERVE),                    \
      "seconds after which a client that neither sends nor reads is closed")                       \
    X(MAX_WAITING, INT, "--max-waiting", NULL, NULL, 1, 1000000, "1024", "N", FOR(SERVE),          \
      "requests that may wait; more are refused with 503")                                         \
    X(CACHE_RAM, INT, "--cache-ram", NULL, NULL, 0, 16777216, "4096", "MiB", FOR(SERVE),           \
      "KV pages above which former requests are forgotten; 0: nothing is kept of them")            \
    X(STEP_MS, INT, "--step-ms", NULL, NULL, 1, 60000, "100", "MS", FOR(SERVE),                    \
      "how long a step of running answers may get by pieces of prompts")                           \
    X(DETERMINISTIC, FLAG, "--deterministic", NULL, NULL, 0, 0, NULL, NULL, FOR(SERVE),            \
      "answers depend on their request alone, to the bit; slower with several at once")            \
    X(DRAIN, INT, "--drain-seconds", NULL, NULL, 0, 86400, "30", "S", FOR(SERVE),                  \
      "time for what is running when the server is to end")                                        \
    X(MEDIA_PATH, STRING, "--media-path", NULL, NULL, 0, 0, NULL, "DIR", FOR(SERVE),               \
      "pictures below this folder may be named as file://...")                                     \
    X(IMAGE_URLS, FLAG, "--allow-image-urls", NULL, NULL, 0, 0, NULL, NULL, FOR(SERVE),            \
      "fetch pictures that requests name as http(s)://..., from public addresses alone")           \
    X(MAX_IMAGES, INT, "--max-images", NULL, NULL, 1, 1024, "64", "N", FOR(SERVE),                 \
      "pictures of a request")                                                                     \
    X(DEVICE, DEVICE, "--device", "-dev", "PERIDOT_DEVICE", 0, 0, NULL, "NAME",                    \
      FOR_DEVICE | FOR(DEVICES) | FOR(RECORD),                                                     \
      "cpu, cpu-ref, vulkan, vulkan:0, or part of a name or UUID (default: the best GPU, else "    \
      "cpu)")                                                                                      \
    X(LIST_DEVICES, FLAG, "--list-devices", NULL, NULL, 0, 0, NULL, NULL, FOR_WEIGHTS,             \
      "list the devices and stop")                                                                 \
    X(THREADS, INT, "--threads", "-t", "PERIDOT_THREADS", 1, 4096, NULL, "N",                      \
      FOR_WEIGHTS | FOR(INSPECT) | FOR(VERIFY) | FOR(QUANTIZE) | FOR(CONVERT) | FOR(DEVICES) |     \
          FOR(RECORD),                                                                             \
      "CPU threads (default: one per core)")                                                       \
    X(MEMORY_LIMIT, INT, "--memory-limit", NULL, "PERIDOT_MEMORY_LIMIT", 1, 1099511627776.0, NULL, \
      "MiB", FOR_WEIGHTS, "use no more device memory than this (default: what the device has)")    \
    X(NO_REPACK, FLAG, "--no-repack", NULL, NULL, 0, 0, NULL, NULL, FOR_WEIGHTS,                   \
      "CPU: leave the weights as the file has them, in pages that processes share; slower")        \
    X(PRECISION, CHOICE, "--precision", NULL, "PERIDOT_PRECISION", 0, 0, NULL, "exact|f16|q8",     \
      FOR_WEIGHTS | FOR(RECORD),                                                                   \
      "how close to the exact result (default: f16; logits and embed-image: exact)")               \
    X(HEAD, CHOICE, "--head", NULL, "PERIDOT_HEAD", 0, 0, "keep", "keep|q8_0|q6_k|q4_0",           \
      FOR_SAMPLER | FOR(BENCH) | FOR(LOGITS) | FOR(SCORE) | FOR(INSPECT) | FOR(ESTIMATE) |         \
          FOR(COMPARE),                                                                            \
      "requantise the output head while loading; run and bench say what it costs")                 \
    X(DECODE_AFTER, INT, "--decode-after", NULL, NULL, 1, 0x7fffffff, NULL, "K", FOR(LOGITS),      \
      "the first K tokens as a prompt, the rest one at a time as in generation")                   \
    X(SCORE_CTX, INT, "--ctx-size", "-c", NULL, 8, 16777216, "512", "N", FOR(SCORE),               \
      "tokens of a window; the windows of a text lie one behind the other")                        \
    X(STRIDE, INT, "--stride", "--ppl-stride", NULL, 2, 16777216, NULL, "S", FOR(SCORE),           \
      "windows of N + S/2 tokens every S tokens, of which the last S are scored (default: the "    \
      "second half of each window is)")                                                            \
    X(WHOLE, FLAG, "--whole", NULL, NULL, 0, 0, NULL, NULL, FOR(SCORE),                            \
      "score every token of a window but the first")                                               \
    X(WINDOWS, INT, "--windows", "--chunks", NULL, 1, 0x7fffffff, NULL, "N", FOR(SCORE),           \
      "score no more than the first N windows")                                                    \
    X(CHOICES, FILE, "--choices", NULL, NULL, 0, 0, NULL, "FILE", FOR(SCORE),                      \
      "multiple choice instead of a text: lines of {\"query\": ..., \"choices\": [...], "          \
      "\"gold\": N}")                                                                              \
    X(AGAINST, FILE, "--against", NULL, NULL, 0, 0, NULL, "FILE", FOR(SCORE),                      \
      "a reference model: KL divergence of MODEL's probabilities from its own")                    \
    X(AGAINST_DEVICE, DEVICE, "--against-device", NULL, NULL, 0, 0, NULL, "NAME", FOR(SCORE),      \
      "where the reference runs (default: --device); without --against the same model")            \
    X(AGAINST_PRECISION, CHOICE, "--against-precision", NULL, NULL, 0, 0, NULL, "exact|f16|q8",    \
      FOR(SCORE), "the reference's (default: --precision); without --against the same model")      \
    X(BENCH_PROMPT, LIST, "--n-prompt", "-p", NULL, 0, 0, "512", "N,..", FOR(BENCH),               \
      "prompt lengths: comma lists and ranges a-b, a-b+step, a-b*factor; 0: none")                 \
    X(BENCH_GEN, LIST, "--n-gen", "-n", NULL, 0, 0, "128", "N,..", FOR(BENCH),                     \
      "numbers of tokens to generate; 0: none")                                                    \
    X(BENCH_PG, LIST, "--prompt-gen", "-pg", NULL, 0, 0, NULL, "P,G", FOR(BENCH),                  \
      "a prompt of P and G generated tokens, timed together; may be repeated")                     \
    X(BENCH_DEPTH, LIST, "--n-depth", "-d", NULL, 0, 0, "0", "N,..", FOR(BENCH),                   \
      "tokens already in the context before the timed ones")                                       \
    X(BENCH_BATCH, LIST, "--batch-size", "-b", NULL, 0, 0, "2048", "N,..", FOR(BENCH),             \
      "prompt tokens handed over at once")                                                         \
    X(BENCH_UBATCH, LIST, "--ubatch-size", "-ub", NULL, 0, 0, "512", "N,..", FOR(BENCH),           \
      "prompt tokens computed at once, never more than --batch-size")                              \
    X(BENCH_PARALLEL, LIST, "--parallel", "-np", NULL, 0, 0, NULL, "N,..", FOR(BENCH),             \
      "N sequences at once: the time of their prompts of -p tokens each, then of -n generated "    \
      "tokens each; see --shared-prompt")                                                          \
    X(BENCH_SHARED, FLAG, "--shared-prompt", "-pps", NULL, 0, 0, NULL, NULL, FOR(BENCH),           \
      "with --parallel: one prompt, which all sequences begin with")                               \
    X(BENCH_REPEAT, INT, "--repetitions", "-r", NULL, 1, 10000, "5", "N", FOR(BENCH),              \
      "timed runs of each test, after one that is not timed")                                      \
    X(BENCH_PROFILE, FLAG, "--profile", NULL, NULL, 0, 0, NULL, NULL, FOR(BENCH),                  \
      "the time of each test's last step by operation: columns and fields of -o csv, json and "    \
      "jsonl, a table on standard error with md")                                                  \
    X(BENCH_TRACE, OUTPUT, "--trace", NULL, NULL, 0, 0, NULL, "FILE", FOR(BENCH),                  \
      "each test's last step as a timeline for Perfetto or chrome://tracing")                      \
    X(BENCH_OUTPUT, CHOICE, "--output", "-o", NULL, 0, 0, "md", "md|csv|json|jsonl", FOR(BENCH),   \
      "format of the results")                                                                     \
    X(RECORD_PRESETS, LIST, "--presets", NULL, NULL, 0, 0, "270m,1b,4b", "NAME,..", FOR(RECORD),   \
      "models to measure: tiny, 270m, 1b, 4b, 12b, 27b")                                           \
    X(RECORD_PROMPT, INT, "--n-prompt", "-p", NULL, 0, 65536, "512", "N", FOR(RECORD),             \
      "tokens of a prompt; 0: none")                                                               \
    X(RECORD_GEN, INT, "--n-gen", "-n", NULL, 0, 65536, "64", "N", FOR(RECORD),                    \
      "tokens to generate; 0: none")                                                               \
    X(RECORD_DEPTH, LIST, "--n-depth", "-d", NULL, 0, 0, "0,4096", "N,..", FOR(RECORD),            \
      "tokens already in the context before the timed ones")                                       \
    X(RECORD_REPEAT, INT, "--repetitions", "-r", NULL, 1, 100, "5", "N", FOR(RECORD),              \
      "timed runs of each test, after one that is not timed; their median counts")                 \
    X(RECORD_MODELS, STRING, "--models", NULL, NULL, 0, 0, NULL, "DIR", FOR(RECORD),               \
      "folder where the models stay, and are found the next time (default: none do)")              \
    X(RECORD_NO_TEST, FLAG, "--no-test", NULL, NULL, 0, 0, NULL, NULL, FOR(RECORD),                \
      "do not test the device's kernels beside the reference")                                     \
    X(RECORD_TABLE, FLAG, "--table", NULL, NULL, 0, 0, NULL, NULL, FOR(RECORD),                    \
      "measure nothing: a table in Markdown of the records that are named")                        \
    X(RECORD_PLOT, OUTPUT, "--plot", NULL, NULL, 0, 0, NULL, "FILE", FOR(RECORD),                  \
      "with --table: the same as a drawing, in SVG")                                               \
    X(RECORD_OUTPUT, OUTPUT, "--output", "-o", NULL, 0, 0, NULL, "FILE", FOR(RECORD),              \
      "write the record to a file, and a table of it to standard output")                          \
    X(OUTPUT, OUTPUT, "--output", "-o", NULL, 0, 0, NULL, "FILE",                                  \
      FOR(LOGITS) | FOR(SYNTH) | FOR(CONVERT) | FOR(EMBED_IMAGE),                                  \
      "file to write; it appears when complete or not at all")                                     \
    X(SCORE_OUTPUT, OUTPUT, "--output", "-o", NULL, 0, 0, NULL, "FILE", FOR(SCORE),                \
      "write each scored token, or choice, with its log-probability, as lines of JSON")            \
    X(FETCH_OUTPUT, OUTPUT, "--output", "-o", NULL, 0, 0, NULL, "DIR", FOR(FETCH),                 \
      "folder for the files (default: one in the cache folder)")                                   \
    X(FETCH_FILE, STRING, "--file", NULL, NULL, 0, 0, NULL, "NAME", FOR(FETCH),                    \
      "exactly this file of the repository, with its other parts if it is split")                  \
    X(REVISION, STRING, "--revision", NULL, NULL, 0, 0, "main", "REV", FOR(FETCH),                 \
      "branch, tag or commit")                                                                     \
    X(OFFLINE, FLAG, "--offline", NULL, "PERIDOT_OFFLINE", 0, 0, NULL, NULL,                       \
      FOR(FETCH) | FOR_MODEL, "use what was fetched before, and no network")                       \
    X(RETRIES, INT, "--retries", NULL, NULL, 0, 100, "5", "N", FOR(FETCH),                         \
      "attempts after one that broke off and brought nothing new")                                 \
    X(PLAN, FLAG, "--plan", NULL, NULL, 0, 0, NULL, NULL, FOR(INSPECT),                            \
      "print the operations of a prompt step and of a generation step, or of an image")            \
    X(PRESET, CHOICE, "--preset", NULL, NULL, 0, 0, "tiny", "tiny|270m|1b|4b|12b|27b", FOR(SYNTH), \
      "shape of the model")                                                                        \
    X(SYNTH_HF, FLAG, "--hf", NULL, NULL, 0, 0, NULL, NULL, FOR(SYNTH),                            \
      "a checkpoint folder for convert instead: safetensors in bf16, config.json, tokenizer.json") \
    X(SYNTH_MMPROJ, FLAG, "--mmproj", NULL, NULL, 0, 0, NULL, NULL, FOR(SYNTH),                    \
      "the preset's image encoder instead of its text model")                                      \
    X(CONVERT_MMPROJ, OUTPUT, "--mmproj", NULL, NULL, 0, 0, NULL, "FILE", FOR(CONVERT),            \
      "where the image encoder goes (default: mmproj-NAME beside the model)")                      \
    X(NO_MMPROJ, FLAG, "--no-mmproj", NULL, NULL, 0, 0, NULL, NULL,                                \
      FOR(CONVERT) | FOR(FETCH) | FOR(CHAT) | FOR(SERVE), "leave the image encoder out")           \
    X(MMPROJ_TYPE, CHOICE, "--mmproj-type", NULL, NULL, 0, 0, "f16", "f16|bf16|f32|q8_0",          \
      FOR(CONVERT), "stored type of the image encoder's matrices")                                 \
    X(LORA, FILE, "--lora", NULL, NULL, 0, 0, NULL, "DIR", FOR(CONVERT),                           \
      "merge this adapter in: adapter_model.safetensors and adapter_config.json")                  \
    X(TYPE, CHOICE, "--type", NULL, NULL, 0, 0, NULL, CLI_TYPE_NAMES, FOR(SYNTH) | FOR(CONVERT),   \
      "stored type of the layers' matrices (default: q4_0; of synth --mmproj f16)")                \
    X(EMBD_TYPE, CHOICE, "--embd-type", NULL, NULL, 0, 0, NULL, CLI_TYPE_NAMES, FOR(SYNTH),        \
      "stored type of the embedding (default: as llama.cpp's quantiser chooses it)")               \
    X(QAT, FLAG, "--qat", NULL, NULL, 0, 0, NULL, NULL, FOR(SYNTH),                                \
      "as Google's QAT files: q4_0 with an f16 embedding")                                         \
    X(SYNTH_SEED, INT, "--seed", "-s", NULL, 0, 9007199254740992.0, "1", "S", FOR(SYNTH),          \
      "of the weights; equal seeds give equal files")                                              \
    X(VOCAB, INT, "--vocab", NULL, NULL, 600, 262208, NULL, "N", FOR(SYNTH),                       \
      "tokens (default: the preset's)")                                                            \
    X(LAYERS, INT, "--layers", NULL, NULL, 1, 256, NULL, "N", FOR(SYNTH),                          \
      "layers (default: the preset's)")                                                            \
    X(SYNTH_CTX, INT, "--ctx-size", "-c", NULL, 64, 16777216, NULL, "N", FOR(SYNTH),               \
      "positions the model claims to handle (default: the preset's)")                              \
    X(TOKENIZER, FILE, "--tokenizer", NULL, NULL, 0, 0, NULL, "FILE", FOR(SYNTH),                  \
      "take the vocabulary from a tokenizer.json (default: a made-up one)")                        \
    X(EMBEDDING, CHOICE, "--embedding", "--token-embedding-type", NULL, 0, 0, NULL,                \
      CLI_TYPE_NAMES, FOR(QUANTIZE) | FOR(CONVERT),                                                \
      "stored type of the embedding and the output matrix (default: q6_k, or q8_0 where rows are " \
      "no multiples of 256 or TYPE is q8_0, or TYPE if that is f32, f16 or bf16)")                 \
    X(PURE, FLAG, "--pure", NULL, NULL, 0, 0, NULL, NULL, FOR(QUANTIZE),                           \
      "TYPE for the embedding and the output matrix as well")                                      \
    X(DRY_RUN, FLAG, "--dry-run", NULL, NULL, 0, 0, NULL, NULL, FOR(QUANTIZE),                     \
      "print the types and sizes, write nothing")                                                  \
    X(TEST, FLAG, "--test", NULL, NULL, 0, 0, NULL, NULL, FOR(DEVICES),                            \
      "test every kernel that each device could use beside the reference, and keep what is found") \
    X(TEST_TYPES, LIST, "--types", NULL, NULL, 0, 0, NULL, "TYPE,..", FOR(DEVICES),                \
      "with --test: only these stored types, as q4_0 or f16; nothing is kept then")                \
    X(MEASURE, FLAG, "--measure", NULL, NULL, 0, 0, NULL, NULL, FOR(DEVICES),                      \
      "measure how fast each device reads, copies, multiplies and starts dispatches")              \
    X(JSON, FLAG, "--json", NULL, NULL, 0, 0, NULL, NULL,                                          \
      FOR(RUN) | FOR(DEVICES) | FOR(INSPECT) | FOR(VERIFY) | FOR(TOKENIZE) | FOR(SCORE) |          \
          FOR(FETCH) | FOR(LIST) | FOR(ESTIMATE) | FOR(COMPARE),                                   \
      "print JSON (run: one object at the end)")                                                   \
    X(PROGRESS, FLAG, "--progress", NULL, NULL, 0, 0, NULL, NULL, FOR_ALL,                         \
      "tell how far long work is also where standard error is no terminal")                        \
    X(VERBOSE, FLAG, "--verbose", "-v", NULL, 0, 0, NULL, NULL, FOR_ALL,                           \
      "log what happens to standard error; twice: in detail")                                      \
    X(LOG_FILE, OUTPUT, "--log-file", NULL, "PERIDOT_LOG_FILE", 0, 0, NULL, "FILE", FOR_ALL,       \
      "log to a file instead")

/* X(option, field of pd_sampler_desc): what `run` hands over, and prints in its timings and JSON */
#define CLI_SAMPLER_LIST(X)                                                                        \
    X(TEMP, temp)                                                                                  \
    X(TOP_K, top_k)                                                                                \
    X(TOP_P, top_p)                                                                                \
    X(MIN_P, min_p)

/* The same for penalties: timings have those that are on. */
#define CLI_PENALTY_LIST(X)                                                                        \
    X(REPEAT_PENALTY, repeat_penalty)                                                              \
    X(PRESENCE_PENALTY, presence_penalty)                                                          \
    X(FREQUENCY_PENALTY, frequency_penalty)

#endif
