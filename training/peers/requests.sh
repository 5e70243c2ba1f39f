#!/usr/bin/env bash
# What `make requests` does: measures how well known requests are recognised and rewrites their section
# of docs/quality.md. Options are handed on, such as --refresh, which asks the peers again too.
set -euo pipefail
cd "$(dirname "$0")/../.."

data=${TRIAGED_QUALITY_DATA:-../shared/data}
if [ ! -d "$data/intents-out-of-scope" ]; then
  echo "skipped: there is no folder $data/intents-out-of-scope; name its parent in TRIAGED_QUALITY_DATA"
  exit 0
fi

. training/peers/environment.sh
cargo build --release --locked --bin triaged --example known --example corpus
"$environment/bin/python" -m peers.requests --data "$data" "$@"
