# vLLM's own image, and our KV policies beside it as a plug-in. Build it from the repository's root:
#   docker build -f deploy/worker.Dockerfile -t mneme-worker .
# Bases are pinned by their tags; by digest with --build-arg BASE=vllm/vllm-openai@sha256:...
ARG BASE=vllm/vllm-openai:v0.32.0
ARG BUILDER=python:3.12-slim-bookworm

FROM ${BUILDER} AS plugin
WORKDIR /build
RUN pip install --no-cache-dir setuptools==84.2.1
COPY LICENSE README.md pyproject.toml ./
COPY gateway gateway
COPY workers workers
# Without its dependencies: a worker needs what vLLM brings, and nothing of the gateway's.
RUN pip install --no-cache-dir --no-deps --no-build-isolation --target /opt/mneme . \
    && rm -r /opt/mneme/gateway /opt/mneme/bin

FROM ${BASE}
LABEL org.opencontainers.image.title="mneme-worker" org.opencontainers.image.licenses="Apache-2.0"
# Caches of weights, kernels and graphs: everything that vLLM writes lies under this one directory.
RUN useradd --uid 10001 --user-group --home-dir /cache --create-home mneme
COPY --from=plugin /opt/mneme /opt/mneme
ENV PYTHONPATH=/opt/mneme \
    HOME=/cache \
    HF_HOME=/cache/huggingface \
    XDG_CACHE_HOME=/cache \
    VLLM_CACHE_ROOT=/cache/vllm \
    TRITON_CACHE_DIR=/cache/triton \
    TORCHINDUCTOR_CACHE_DIR=/cache/inductor \
    VLLM_NO_USAGE_STATS=1
WORKDIR /cache
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=900s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["python3", "-m", "workers"]
CMD ["policies"]
