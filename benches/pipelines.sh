#!/usr/bin/env bash
# What `make pipelines` does. Options are handed on to benches/pipelines.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

work=target/pipelines
jars=$work/jars
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1

[ -d "$work/venv" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r benches/pipelines/requirements.txt
[ -d "$jars" ] || mvn -q -B -f benches/pipelines/pom.xml -Dstreams.version=4.1.1 \
  org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$PWD/$jars"

cargo run --release --locked --example corpus -- --out "$work/corpus" --seed 7
"$work/venv/bin/python" benches/pipelines/stage.py train "$work/corpus/tickets.jsonl" "$work/model"
cargo bench --locked --bench pipelines -- --jars "$PWD/$jars" --python "$PWD/$work/venv/bin/python" \
  --model "$PWD/$work/model" "$@"
