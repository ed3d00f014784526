#!/usr/bin/env bash
# Build both CPU images with buildah and run them with podman, which need no Docker engine: as uid
# 1000 inside, on a read-only root file system. build_and_run_linux.sh does it, with a `docker` that
# is these two. Needs root and Debian's packages:
#   apt install buildah podman runc catatonit mmdebstrap curl
# WORK: where images and containers are kept (4 GB), so that the next run need not compile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly WORK=${WORK:-/var/tmp/fastapi-sllm-api-verify}
readonly BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm
readonly TORCH_INDEX=https://download.pytorch.org/whl/cpu
readonly NAME=fastapi-sllm-api
readonly URL=http://127.0.0.1:8000
readonly HEALTHY_SECONDS=10 STOP_SECONDS=20 STREAMS=24

die() {
    echo "FAILED: $*" >&2
    docker logs "$NAME" 2>&1 | tail -n 40 >&2 || true
    exit 1
}

passed() {
    echo "ok: $*"
}

# ---------------------------------------------------------------- a docker without an engine

require_tools() {
    local tool
    for tool in buildah podman runc catatonit mmdebstrap curl; do
        command -v "$tool" >/dev/null ||
            die "$tool is missing: apt install buildah podman runc catatonit mmdebstrap curl"
    done
    [[ $(id -u) == 0 ]] || die "building without a Docker engine needs root."
    ! curl -s -o /dev/null $URL || die "another program listens on port 8000."
}

pip_volumes() { # pip's configuration here, what it names, and the parents of indexes in folders
    local path
    {
        python3 -m pip config debug | sed -n 's/^  \(.*\), exists: True$/\1/p'
        python3 -m pip config list
    } | grep -oE '(file://)?/[^ "'"'"']+' | sed -E 's|^file://(.*)/[^/]+/?$|\1|' | sort -u | while read -r path; do
        [[ ! -e $path ]] || printf -- '--volume %s:%s:ro ' "$path" "$path"
    done
}

write_docker() { # without root's networks and systemd: the host's network, no timers
    local store="--storage-driver overlay --root $WORK/storage --runroot $WORK/run" index=()
    curl -s -o /dev/null --max-time 20 "$TORCH_INDEX/" || index=(--build-arg TORCH_INDEX=)
    mkdir -p "$WORK/bin"
    cat >"$WORK/bin/docker" <<TEXT
#!/usr/bin/env bash
command=\$1
shift
podman=(podman $store --runtime runc --cgroup-manager cgroupfs)
case \$command in
info) ;;
build) exec buildah $store build --layers --isolation chroot --format docker --pull=never \
    $(pip_volumes) ${index[@]+"${index[@]}"} "\$@" ;;
pull) exec buildah $store pull --quiet "\$@" ;;
run) exec "\${podman[@]}" run --network host --no-healthcheck --ulimit nofile=4096:4096 \
    --ulimit nproc=4096:4096 "\$@" ;;
*) exec "\${podman[@]}" "\$command" "\$@" ;;
esac
TEXT
    chmod +x "$WORK/bin/docker"
    PATH=$WORK/bin:$PATH
}

ensure_base() { # Debian's own packages stand in for the base where no registry can be reached
    if docker image exists "$BASE_IMAGE" || timeout 60 docker pull "$BASE_IMAGE" 2>/dev/null; then
        return
    fi
    local folder=$WORK/base
    mkdir -p "$folder"
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3,python3-venv \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$folder/rootfs.tar"
    printf 'FROM scratch\nADD rootfs.tar /\n' >"$folder/Dockerfile"
    docker build -t "$BASE_IMAGE" "$folder"
    rm -r "$folder"
}

# ---------------------------------------------------------------- asking the server

ask() { # path, JSON: the answer
    curl -sS --fail-with-body --max-time 60 -H 'Content-Type: application/json' -d "$2" "$URL$1" ||
        die "POST $1"
}

part() { # expression over the JSON `it`, from the standard input
    python3 -c "import json, sys; it = json.load(sys.stdin); print($1)"
}

wait_until_healthy() { # address
    local began=$SECONDS
    until curl -fs --max-time 2 "$1/health" >/dev/null; do
        ((SECONDS - began < HEALTHY_SECONDS)) || die "it is not healthy after $HEALTHY_SECONDS s."
        sleep 0.2
    done
    passed "healthy within $((SECONDS - began + 1)) s"
}

stop() {
    local began=$SECONDS
    docker stop "$NAME" >/dev/null 2>&1
    ((SECONDS - began < STOP_SECONDS)) || die "stopping took $((SECONDS - began)) s."
}

# ---------------------------------------------------------------- what is checked

check_confinement() {
    [[ $(docker exec "$NAME" id -u) == 1000 ]] || die "it does not run as uid 1000."
    ! docker exec "$NAME" touch /app/new 2>/dev/null || die "the root file system can be written."
    ! docker exec "$NAME" sh -c 'command -v c++ g++ gcc cc make' || die "there is a compiler."
    docker exec "$NAME" /app/.venv/bin/python -m app.cli health >/dev/null || die "the health check"
    passed "uid 1000, read-only, no compiler, the health check of the image"
}

check_chat() {
    local answer picture
    answer=$(ask /api/v1/chat '{"message": "Hello! What are you?"}')
    passed "a chat: $(part 'it["message"]["content"][:60]' <<<"$answer")"
    picture=$(base64 -w0 docs/circle.png)
    answer=$(ask /api/v5/chat "{\"message\": \"What do you see?\", \"images\": [{\"base64\": \"$picture\"}]}")
    docker exec "$NAME" .venv/bin/python examples/test_in_container.py >/dev/null ||
        die "examples/test_in_container.py"
    passed "a picture: $(part 'it["message"]["content"][:60]' <<<"$answer")"
}

check_stop_and_start() { # a finished conversation, and streams that the stop interrupts
    local kept folder count running
    kept=$(ask /api/v4/chat '{"message": "Hello! What are you?"}' | part 'it["conversation_id"]')
    folder=$(mktemp -d)
    for ((count = 0; count < STREAMS; count++)); do
        curl -sS --max-time 60 -H 'Content-Type: application/json' -o "$folder/$count" \
            -d '{"message": "Tell me a long story", "max_tokens": 1500, "temperature": 2}' \
            $URL/api/v4/chat/stream 2>/dev/null &
    done
    until [[ $(cat "$folder"/* 2>/dev/null | grep -c '^event: delta') -gt 20 ]]; do sleep 0.05; done
    running=$((STREAMS - $(cat "$folder"/* | grep -c '^event: done')))
    ((running > 0)) || die "no answer runs any more."
    stop
    wait
    docker start "$NAME" >/dev/null
    wait_until_healthy $URL
    curl -fsS "$URL/api/v4/conversations/$kept" >/dev/null || die "a conversation is lost."
    python3 docker/saved_answers.py $URL "$folder" || die "running answers are not saved."
    rm -r "$folder"
    passed "a conversation is there after a new start, and $running answers that ran at the SIGTERM"
}

check_local_llm_interface() { # its port and its volume, as its users start it
    local other=$NAME-15530 began=$SECONDS
    docker run --detach --name "$other" --replace -p 15530:15530 \
        -e LLM_PORT=15530 -v "$PWD/models:/models:ro" "$NAME" >/dev/null
    until curl -fs --max-time 2 http://127.0.0.1:15530/health >/dev/null; do
        ((SECONDS - began < 30)) || die "$(docker logs "$other")"
        sleep 0.2
    done
    docker rm --force "$other" >/dev/null
    passed "LLM_PORT=15530 with models mounted read-only"
}

check_tool() { # the model of HOST_MODEL_DIR, which needs PyTorch
    local answer
    answer=$(ask /tool/generate_hyperclovax_vision \
        "{\"prompt\": \"What do you see?\", \"image_base64\": \"$(base64 -w0 docs/circle.png)\"}")
    curl -fsS $URL/health | part 'list(it["models"])' | grep -q HyperCLOVAX ||
        die "another model has answered: $(curl -s $URL/health)"
    passed "/tool by the mounted model: $(part 'it["result"][:60]' <<<"$answer")"
}

size() {
    docker image inspect --format '{{.Size}}' "$NAME" | awk '{ printf "%d MB", $1 / 1e6 }'
}

main() {
    require_tools
    write_docker
    ensure_base
    export HOST='' PORT='' API_KEYS='' HOST_MODEL_DIR='' DATABASE_URL=''
    unset EXTRAS BASE

    ./build_and_run_linux.sh || die "build_and_run_linux.sh"
    wait_until_healthy $URL
    passed "the CPU image has $(size)"
    check_confinement
    check_chat
    check_stop_and_start
    stop
    check_local_llm_interface

    HOST_MODEL_DIR=models/starter-vision-hyperclovax ./build_and_run_linux.sh ||
        die "build_and_run_linux.sh with PyTorch"
    wait_until_healthy $URL
    passed "the image with PyTorch has $(size)"
    check_confinement
    check_tool
    check_stop_and_start
    stop
    docker rm "$NAME" >/dev/null
    passed "all"
}

main
