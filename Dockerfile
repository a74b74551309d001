# One image; the command picks the process: stepwell-engine (also `stepwell-engine migrate`), stepwell-operator or
# stepwell-dashboard. Nothing in it runs as root or writes outside /tmp.

FROM node:22-slim AS ui
WORKDIR /src/dashboard/ui
COPY dashboard/ui/package.json dashboard/ui/package-lock.json dashboard/ui/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY dashboard/ui ./
RUN npm run build

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /opt/build && python -m venv --without-pip /opt/stepwell
COPY requirements/build.lock requirements/runtime.lock requirements/
RUN /opt/build/bin/pip install --require-hashes -r requirements/build.lock
RUN /opt/build/bin/pip --python /opt/stepwell/bin/python install --require-hashes --only-binary :all: -r requirements/runtime.lock
COPY LICENSE ./
COPY sdk/python sdk/python
COPY operator operator
COPY dashboard/pyproject.toml dashboard/
COPY dashboard/src dashboard/src
COPY --from=ui /src/dashboard/src/stepwell_dashboard/page dashboard/src/stepwell_dashboard/page
RUN /opt/build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels ./sdk/python ./operator ./dashboard
RUN /opt/build/bin/pip --python /opt/stepwell/bin/python install --no-index --no-deps /wheels/*.whl \
    && /opt/stepwell/bin/python -m compileall -q /opt/stepwell/lib

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Stepwell" \
      org.opencontainers.image.description="Durable workflows as Kubernetes resources" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/stepwell /opt/stepwell
COPY LICENSE /opt/stepwell/LICENSE
ENV PATH=/opt/stepwell/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 65532:65532
EXPOSE 8080
CMD ["stepwell-engine"]
