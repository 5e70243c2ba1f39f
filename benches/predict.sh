#!/usr/bin/env bash
# What `make predict` does. Options are handed on to benches/predict.py.
set -euo pipefail
cd "$(dirname "$0")/.."

. training/peers/environment.sh
cargo build --release --locked --bin triaged --example corpus --example judge
PYTHONPATH=training:benches "$environment/bin/python" benches/predict.py "$@"
