# Untested by the project's own checks, which build and run without containers.
FROM rust:1-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libssl-dev zlib1g-dev pkg-config
WORKDIR /build
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libssl3 zlib1g ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/target/release/triaged /usr/local/bin/triaged
# Trained on synthetic tickets, for trying out: mount your own.
COPY models/default /opt/triaged/models/default
COPY models/requests /opt/triaged/models/requests
WORKDIR /opt/triaged
USER 65532:65532
ENTRYPOINT ["triaged"]
CMD ["run"]
