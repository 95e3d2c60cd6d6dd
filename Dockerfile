# A machine that trains with mm and ultralytics. On a CPU: docker build -t normreg .
# With CUDA, of the version that torch was built with (mmcv's operators compile for the GPUs of TORCH_CUDA_ARCH_LIST):
#   docker build -t normreg --build-arg BASE=nvidia/cuda:13.0.0-devel-ubuntu22.04 --build-arg FORCE_CUDA=1 .
ARG BASE=ubuntu:22.04
FROM ${BASE}

ARG FORCE_CUDA=0
ARG TORCH_CUDA_ARCH_LIST="8.0 8.6 9.0"
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 FORCE_CUDA=${FORCE_CUDA} TORCH_CUDA_ARCH_LIST=${TORCH_CUDA_ARCH_LIST}
RUN apt-get update \
    && apt-get install -y --no-install-recommends software-properties-common build-essential make git libglib2.0-0 \
    && add-apt-repository -y ppa:deadsnakes/ppa \
    && apt-get install -y --no-install-recommends python3.11 python3.11-venv python3.11-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /normreg_plugins
COPY . .
RUN make env
ENV PATH=/normreg_plugins/.venv/bin:${PATH}
CMD ["normreg", "--help"]
