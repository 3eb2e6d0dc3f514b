"""Peridot against transformers. run.sh makes the environment that this needs and calls it.

    main.py [PART...] [--only TEXT]     parts: models images chats sampling; all without one

SPDX-License-Identifier: MIT
"""
import argparse
import os
import sys
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
warnings.simplefilter("ignore")

import torch
import transformers

from common import ROOT, Report, peridot

PARTS = ["models", "images", "chats", "sampling"]


def devices(report):
    """cpu and cpu-ref, and llvmpipe where there is one."""
    names = ["cpu", "cpu-ref"]
    wish = os.environ.get("PERIDOT_REFERENCE_VULKAN", "vulkan:llvmpipe")
    if "llvmpipe" in peridot("devices") or wish != "vulkan:llvmpipe":
        return names + [wish]
    report.skip("models on Vulkan", "no llvmpipe among the devices (Debian: mesa-vulkan-drivers)")
    return names


def main():
    """Runs the parts that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--only", default="", help="models whose name contains this")
    arguments = parser.parse_args()
    parts = arguments.parts or PARTS
    if set(parts) - set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}")
    torch.set_num_threads(1)  # small matrices
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    report = Report()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory(dir=os.path.join(ROOT, "build"), prefix="reference.") as work:
        if "models" in parts:
            from models import compare_models
            report.attempt("models", compare_models, report, work, devices(report), arguments.only)
        if "images" in parts:
            from pictures import compare_pictures
            report.attempt("images", compare_pictures, report, work)
        if "chats" in parts:
            from chats import compare_chats
            report.attempt("chats", compare_chats, report)
        if "sampling" in parts:
            from sampling import compare_sampling
            report.attempt("sampling", compare_sampling, report, work)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
