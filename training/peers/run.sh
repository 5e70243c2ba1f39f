#!/usr/bin/env bash
# What `make quality` does: measures triaged's models against the usual text classifiers and rewrites
# docs/quality.md. Options are handed on, such as --refresh, which asks the peers again too.
set -euo pipefail
cd "$(dirname "$0")/../.."

data=${TRIAGED_QUALITY_DATA:-../shared/data}
if [ ! -d "$data" ]; then
  echo "skipped: there is no folder $data with labelled sets; name one in TRIAGED_QUALITY_DATA"
  exit 0
fi

. training/peers/environment.sh
"$environment/bin/python" -m unittest discover --start-directory training/peers/tests --top-level-directory training

cargo build --release --locked
"$environment/bin/python" -m peers --data "$data" "$@"
# The report was written anew: its section on known requests, too.
training/peers/requests.sh "$@"
make day
