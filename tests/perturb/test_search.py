import importlib.util
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from auditkit.errors import MissingDependency
from auditkit.perturb.search import load_textattack, typo

ASKED = "Recommend ten movies that someone would watch"


def test_typos_are_those_of_the_seed_with_and_without_flair():
    # Recorded with transformers 4.57.6 and flair 0.15.1.
    assert typo(ASKED, np.random.default_rng(0), 3) == (
        "Recommend ten movies thta soemone would wagch"
    )


def test_typos_leave_the_global_generators_as_they_were():
    load_textattack()
    before = random.getstate(), np.random.get_state()[1].tolist()
    typo(ASKED, np.random.default_rng(1), 2)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_loading_leaves_the_environment_as_it_was():
    before = dict(os.environ)
    load_textattack()
    assert dict(os.environ) == before


@pytest.mark.skipif(importlib.util.find_spec("flair") is not None, reason="flair is installed")
def test_a_part_that_needs_flair_says_so():
    load_textattack()
    from textattack.shared import AttackedText

    with pytest.raises(MissingDependency, match="pip install flair"):
        AttackedText("The quick brown fox").pos_of_word_index(1)


def test_an_edit_imports_neither_transformers_nor_datasets_and_leaves_them_usable():
    code = (
        "import sys, numpy as np\n"
        "from auditkit.perturb.search import typo\n"
        "typo('a recommendation of books', np.random.default_rng(0), 1)\n"
        "assert not {'transformers', 'datasets'} & set(sys.modules)\n"
        "import transformers\n"
        "assert transformers.AutoConfig.for_model('gpt2').n_layer == 12\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
