"""lm-evaluation-harness itself against `peridot serve`: a task of multiple choice and one of generating, through its
models local-completions and local-chat-completions, with data made here. Its accuracies have to be those that
tools/eval/harness.py finds, whose sums tests/server/test_lm_eval.py compares with `peridot score`.

    through_lm_eval.py PERIDOT

SPDX-License-Identifier: MIT
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

import serve
from serve import check, same, test

sys.path.insert(0, os.path.join(serve.ROOT, "tools/eval"))
import harness  # noqa: E402

PROGRAM = sys.argv[1]
CAPITALS = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "Japan": "Tokyo",
            "Norway": "Oslo", "Egypt": "Cairo", "Greece": "Athens"}

TASKS = {
    "pd_choice": """
output_type: multiple_choice
doc_to_text: "{{query}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{gold}}"
target_delimiter: ""
num_fewshot: 0
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
""",
    "pd_generate": """
output_type: generate_until
doc_to_text: "{{query}}"
doc_to_target: "{{answer}}"
num_fewshot: 0
generation_kwargs: {until: ["\\n", "."], max_gen_toks: 32, do_sample: false, temperature: 0.0}
filter_list: [{name: words, filter: [{function: remove_whitespace}, {function: take_first}]}]
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "pd_ask": """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{sentence}}"
num_fewshot: 0
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 32, do_sample: false, temperature: 0.0}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""}


def items():
    """Questions of which some are beyond the toy, so that accuracies differ from 0 and 1."""
    names = list(CAPITALS)
    for i, (country, capital) in enumerate(CAPITALS.items()):
        others = [CAPITALS[names[(i + k) % len(names)]] for k in (1, 2, 3)]
        choices = [capital, *others][i % 4:] + [capital, *others][:i % 4]
        for query in (f"The capital of {country} is", f"One of the largest cities of {country} is"):
            yield {
                "query": query, "choices": [" " + c for c in choices], "gold": choices.index(capital),
                "answer": capital, "question": f"What is the capital of {country}?",
                "sentence": f"The capital of {country} is {capital}."
            }


def write_tasks(folder):
    with open(folder + "/items.jsonl", "w", encoding="utf-8") as f:
        f.writelines(json.dumps(i) + "\n" for i in items())
    for name, text in TASKS.items():
        head = (f"task: {name}\ntest_split: test\ndataset_path: json\n"
                f"dataset_kwargs: {{data_files: {{test: {folder}/items.jsonl}}}}\n")
        with open(f"{folder}/{name}.yaml", "w", encoding="utf-8") as f:
            f.write(head + text.strip() + "\n")


def evaluate(folder, task, kind, *flags, **settings):
    """The results of a task."""
    out = f"{folder}/out-{kind}-{task}-{len(os.listdir(folder))}"
    told = ",".join(f"{k}={v}" for k, v in settings.items())
    command = [
        sys.executable, "-m", "lm_eval", "run", "--model", kind, "--model_args", told, "--tasks", task,
        "--include_path", folder, "--output_path", out, "--log_samples", *flags
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    check(done.returncode == 0, " ".join(command), "ended with", done.returncode, done.stdout[-500:],
          done.stderr[-2500:])
    path, = glob.glob(out + "/**/results_*.json", recursive=True)
    with open(path, encoding="utf-8") as f:
        return json.load(f)["results"][task]


def own_accuracy(server):
    made = list(items())
    found = harness.score_local(lambda path, body=None: server.ok(path, body), harness.pairs_of(made), 4)
    return harness.accuracy(made, found)[0]


@test
def choice(server):
    right = own_accuracy(server)
    check(0.3 < right < 1, "accuracy of the items:", right)
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(folder)
        url = server.url("/v1/completions")
        for batch, more in ((1, {"num_concurrent": 4}), (8, {"num_concurrent": 1})):
            found = evaluate(folder,
                             "pd_choice",
                             "local-completions",
                             "--batch_size",
                             str(batch),
                             model="toy",
                             base_url=url,
                             **more)
            same(found["acc,none"], right, f"accuracy, {batch} at a time:")
    return f"accuracy {right:.4f}"


@test
def through_gguf(server):
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(folder)
        same(evaluate(folder, "pd_choice", "gguf", base_url=server.url())["acc,none"], own_accuracy(server))


@test
def generate(server):
    """As answered one by one."""
    body = {"max_tokens": 32, "temperature": 0, "stop": ["\n", "."]}
    texts = [server.ok("/v1/completions", {**body, "prompt": i["query"]})["choices"][0]["text"] for i in items()]
    right = sum(t.lstrip() == i["answer"] for t, i in zip(texts, items())) / len(texts)
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(folder)
        found = evaluate(folder,
                         "pd_generate",
                         "local-completions",
                         model="toy",
                         base_url=server.url("/v1/completions"),
                         num_concurrent=4)
    same(found["exact_match,words"], right, "exact match:")
    check(0.3 < right < 1, "exact match of the items:", right)
    return f"exact match {right:.4f}"


@test
def chat(server):
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(folder)
        found = evaluate(folder, "pd_ask", "local-chat-completions", "--apply_chat_template", model="toy",
                         base_url=server.url("/v1/chat/completions"), num_concurrent=4)
    same(found["exact_match,none"], 1.0, "what the toy knows:")


if __name__ == "__main__":
    serve.run(lambda: serve.start(PROGRAM, "--device", serve.DEVICE, "--parallel", "4"), sys.argv[2:])
