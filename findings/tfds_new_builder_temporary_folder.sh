#!/usr/bin/env bash
# TensorFlow Datasets 4.9.10: every builder whose data are not prepared yet leaves an empty folder in the temporary folder.
#
# Expected: to construct a builder only describes a dataset; nothing is written before download_and_prepare.
# Behaviour: the constructor asks DatasetInfo.initialize_from_bucket for a description in Google's bucket. That makes a folder
#   with tempfile.mkdtemp first, then finds that the bucket is not to be asked (the default), and returns without removing it
#   (tensorflow_datasets/core/dataset_info.py).
# Why it matters: a service or a cluster that makes datasets of face video, one a recording or a subject, fills the temporary
#   folder with empty folders, thousands of them on a node, and no command of TFDS removes them.
# Remedy: a DatasetInfo of one's own whose initialize_from_bucket does nothing. au_jax/data/tfds_builder.py has one.
#
# Installs TFDS into a temporary folder. Ends with 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorflow-datasets==4.9.10
cat > "$folder/program.py" <<'PYTHON'
import pathlib
import sys
import tempfile

import numpy as np
import tensorflow_datasets as tfds


class Faces(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"label": np.int64}))

    def _split_generators(self, manager):
        return {"all": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"label": 0}


for _ in range(5):
    Faces(data_dir=sys.argv[1])
left = sorted(pathlib.Path(tempfile.gettempdir()).iterdir())
print(len(left), "folders in the temporary folder, which hold", sum(len(list(each.iterdir())) for each in left), "files")
PYTHON
mkdir "$folder/temporary"
TMPDIR="$folder/temporary" "$folder/venv/bin/python" "$folder/program.py" "$folder/data" 2> "$folder/messages.txt" | tee "$folder/seen.txt"
test "$(cat "$folder/seen.txt")" = "5 folders in the temporary folder, which hold 0 files"
