# Everything that people run by name. Each target is one or two commands that can be run by hand.
.PHONY: test chaos bench predict pipelines scale corpus model request-model quality requests day schemas

# All tests; those on a real Kafka start it themselves (see README).
test:
	cargo test --locked

# The proof at length, on real brokers: about a quarter of an hour. Rewrites the table in docs/guarantees.md.
chaos:
	cargo run --release --example chaos -- --kafka 4.1.1,3.9.1 --tickets 100000 --rate 800 --kills 50 --bounces 3 --nodes 3 --write docs/guarantees.md

# What it costs. The last two need a real Kafka and rewrite their tables in benches/README.md.
bench:
	cargo bench --bench core --bench route
	cargo bench --bench end_to_end -- --write
	cargo bench --bench runbook_down -- --write

# How many tickets a CPU second decides, beside fastText and scikit-learn. Rewrites its table in benches/README.md.
predict:
	benches/predict.sh --write

# How many tickets a second go from topic to topic, beside Kafka Streams and confluent-kafka with scikit-learn. Rewrites its
# table in benches/README.md.
pipelines:
	benches/pipelines.sh --write

# What training takes on 10,000, 100,000 and 1,000,000 tickets. Rewrites its table in benches/README.md.
scale:
	cargo build --release --locked --bin triaged --example corpus
	python3 benches/scale.py --write

# The synthetic sample corpus, the same bytes for the same seed.
corpus:
	cargo run --release --example corpus -- --out target/corpus --seed 7

# The model that ships, from that corpus.
model: corpus
	cargo run --release -- train --data target/corpus/tickets.jsonl --recipe training/default.toml --out models/default

# The known-request model that ships, from synthetic tickets with requests among them.
request-model:
	cargo run --release --example corpus -- --out target/requests --seed 7 --requests train
	cargo run --release -- train --data target/requests/requests.jsonl --recipe training/requests.toml --out models/requests

# How good trained models are beside the usual text classifiers, on labelled sets that are not part of
# the project (TRIAGED_QUALITY_DATA, or ../shared/data). Rewrites docs/quality.md.
quality:
	training/peers/run.sh

# How well known requests are recognised: rewrites its section of docs/quality.md. `make quality` ends with it.
requests:
	training/peers/requests.sh

# A day's stream through both stages, with the playbooks that ship: what is resolved, what is wrong, how long it takes.
# Rewrites its section of docs/quality.md.
day:
	cargo run --release --locked --example corpus -- --out target/day --seed 7 --requests day
	cargo run --release --locked --example day -- --write

# The published contracts, from the types.
schemas:
	cargo run --release -- schema ticket > docs/schema/ticket.json
	cargo run --release -- schema decision > docs/schema/decision.json
	cargo run --release -- schema outcome > docs/schema/outcome.json
	cargo run --release -- schema came-back > docs/schema/came_back.json
