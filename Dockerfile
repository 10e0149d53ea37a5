# Three stages: one builds, one gathers what the program needs to run, and the last has nothing but that: no shell, no package manager.
# Pin both images by digest in your own builds.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
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

FROM debian:bookworm-slim AS gather
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates
COPY --from=build /src/target/release/dropslip /image/usr/local/bin/dropslip
# glibc's libraries and loader under the paths that they have here, certificates, the names of the two users, and two folders that can be written.
RUN ldd /image/usr/local/bin/dropslip | grep -o '/[^ ]*' | xargs -I{} cp --parents -L {} /image \
    && cp --parents -L /etc/ssl/certs/ca-certificates.crt /etc/nsswitch.conf /image \
    && printf 'root:x:0:0::/nonexistent:/none\ndropslip:x:10001:10001::/nonexistent:/none\n' >/image/etc/passwd \
    && printf 'root:x:0:\ndropslip:x:10001:\n' >/image/etc/group \
    && install -d -o 10001 -g 10001 -m 0700 /image/data && install -d -m 1777 /image/tmp

FROM scratch
COPY --from=gather /image /
USER 10001:10001
WORKDIR /data
ENV PATH=/usr/local/bin DROPSLIP_LISTEN=0.0.0.0:8080 DROPSLIP_LOG_FORMAT=json
EXPOSE 8080 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=7s --start-period=20s CMD ["/usr/local/bin/dropslip", "health", "--live"]
ENTRYPOINT ["/usr/local/bin/dropslip"]
CMD ["serve"]
