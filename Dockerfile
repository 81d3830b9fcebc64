# olhar in a container: `serve` (the default target, without torch) and `train`.
#
#     docker build -t olhar:serve .
#     docker build -t olhar:train --target train .
#
# What each is for, and SageMaker: docs/deploy.md.
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS install
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/olhar
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN /opt/olhar/bin/pip install --constraint constraints.txt ".[serve,s3,mongodb]"

# PyTorch on PyPI is built for GPUs and several gigabytes large; its own index has it for CPUs alone.
# For GPUs: --build-arg PIP_EXTRA_INDEX_URL=
FROM install AS install-train
ARG PIP_EXTRA_INDEX_URL="https://download.pytorch.org/whl/cpu"
RUN /opt/olhar/bin/pip install --constraint constraints.txt ".[serve,s3,mongodb,train]"

FROM install-train AS install-notebooks
RUN /opt/olhar/bin/pip install --constraint constraints.txt "jupyterlab==4.4.10"

FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/olhar/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --create-home --uid 1000 olhar \
    && mkdir -p /cache /opt/ml/model /opt/ml/checkpoints /opt/ml/output \
    && chown -R olhar /opt/ml && chmod 1777 /cache
WORKDIR /home/olhar
# SageMaker's hosting and training want a root user in the container: --build-arg RUN_AS=root
ARG RUN_AS=olhar
USER ${RUN_AS}

FROM base AS notebooks
COPY --from=install-notebooks /opt/olhar /opt/olhar
EXPOSE 8888
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:8888/api', timeout=4)"]
# The token is read from the variable JUPYTER_TOKEN.
ENTRYPOINT ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser"]

FROM base AS train
COPY --from=install-train /opt/olhar /opt/olhar
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
EXPOSE 8080
# A training has no health but its log.
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "olhar.deploy"]
CMD ["train"]

FROM base AS serve
COPY --from=install /opt/olhar /opt/olhar
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + (os.environ.get('SAGEMAKER_BIND_TO_PORT') or '8080') + '/ping', timeout=4)"]
ENTRYPOINT ["python", "-m", "olhar.deploy"]
CMD ["serve"]
