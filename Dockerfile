# Two stages: one builds, the other has the program, certificates and a user without rights. Pin both images by digest in your own builds.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
COPY migrations migrations
COPY policies policies
COPY web web
COPY clients/js clients/js
# Named in Cargo.toml, so that they must be there; they are not built.
COPY benches benches
COPY bench/floor.rs bench/confirm.rs bench/
COPY tests/it/main.rs tests/it/main.rs
COPY tests/soak/main.rs tests/soak/main.rs
ARG COMMIT=unknown
RUN DROPSLIP_COMMIT=$COMMIT cargo build --release --locked --bin dropslip

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dropslip \
    && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /src/target/release/dropslip /usr/local/bin/dropslip
USER 10001:10001
WORKDIR /data
ENV DROPSLIP_LISTEN=0.0.0.0:8080 DROPSLIP_LOG_FORMAT=json
EXPOSE 8080 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=7s --start-period=20s CMD ["/usr/local/bin/dropslip", "health", "--live"]
ENTRYPOINT ["/usr/local/bin/dropslip"]
CMD ["serve"]
