# One image for all processes of gigaledger; the command selects the process.
FROM python:3.13-slim AS build

ENV UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 NO_COLOR=1 \
    UV_PREVIEW_FEATURES=build-dependency-hashes
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check uv==0.13.9

WORKDIR /build
COPY requirements.lock ./
RUN python3 -m uv venv /opt/gigaledger \
    && python3 -m uv pip sync --no-cache --python /opt/gigaledger --require-hashes requirements.lock
COPY LICENSE README.md pyproject.toml requirements-dev.lock ./
COPY examples examples
COPY proto proto
COPY services services
RUN python3 -m uv pip install --no-cache --python /opt/gigaledger --no-deps \
        --no-sources --build-constraints requirements-dev.lock --require-build-hashes ./proto .


FROM python:3.13-slim

COPY --from=build /opt/gigaledger /opt/gigaledger
# A new volume mounted here inherits the owner of the directory.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin gigaledger \
    && install --directory --owner=gigaledger --mode=0700 /var/lib/gigaledger
ENV PATH=/opt/gigaledger/bin:$PATH PYTHONUNBUFFERED=1
USER gigaledger
# 50051: the ledger service; 50052: the projection service; 50080: the web page.
EXPOSE 50051 50052 50080
ENTRYPOINT ["gigaledger"]
CMD ["--help"]
