"""A triage stage as a team would write it today, with confluent-kafka and scikit-learn.

python stage.py train TICKETS.jsonl MODEL
python stage.py run MODEL BROKERS GROUP NAME RECORDS INPUT OUTPUT    until it is killed
"""

import json
import sys

import joblib
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC


def text(ticket: dict[str, str]) -> str:
    return f"{ticket['subject']}\n{ticket['body']}"


def train(tickets: str, model: str) -> None:
    with open(tickets, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    machine = make_pipeline(vectoriser, CalibratedClassifierCV(LinearSVC()))
    machine.fit([text(row) for row in rows], [row["label_category"] for row in rows])
    joblib.dump(machine, model)


def run(model: str, brokers: str, group: str, name: str, records: str, source: str, to: str) -> None:
    machine = joblib.load(model)
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": group,
            "group.instance.id": name,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "transactional.id": name,
            "compression.type": "lz4",
            "queue.buffering.max.kbytes": 131_072,
        }
    )
    producer.init_transactions()
    consumer.subscribe([source])
    while True:
        batch = consumer.consume(int(records), 0.02)
        if batch:
            step(machine, consumer, producer, batch, to)


def step(machine, consumer: Consumer, producer: Producer, batch: list[Message], to: str) -> None:
    tickets = [json.loads(message.value()) for message in batch]
    confidences = machine.predict_proba([text(ticket) for ticket in tickets])
    labels = machine.classes_[confidences.argmax(axis=1)]
    producer.begin_transaction()
    first: dict[int, TopicPartition] = {}
    upto: dict[int, TopicPartition] = {}
    for message, ticket, label, of_labels in zip(batch, tickets, labels, confidences, strict=True):
        answer = {"category": label, "confidence": round(of_labels.max(), 4), "ticket": ticket}
        producer.produce(to, json.dumps(answer, ensure_ascii=False), message.key())
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        first.setdefault(partition, TopicPartition(topic, partition, offset))
        upto[partition] = TopicPartition(topic, partition, offset + 1)
    try:
        producer.send_offsets_to_transaction(list(upto.values()), consumer.consumer_group_metadata())
        producer.commit_transaction()
    except KafkaException:
        # The other process has joined meanwhile: read the batch again.
        producer.abort_transaction()
        held = {(one.topic, one.partition) for one in consumer.assignment()}
        for place in first.values():
            if (place.topic, place.partition) in held:
                consumer.seek(place)


if __name__ == "__main__":
    {"train": train, "run": run}[sys.argv[1]](*sys.argv[2:])
