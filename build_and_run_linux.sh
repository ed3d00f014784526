#!/usr/bin/env bash
# Build the container image and run the server in it, on http://127.0.0.1:8000.
#
# Settings come from the environment or .env, as for ./run.sh; of them the container gets all but
# HOST and PORT, which say where it is published, and paths of this machine. HOST_MODEL_DIR is a
# model's folder on this machine; DATABASE_URL counts where it names PostgreSQL.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly IMAGE=fastapi-sllm-api NAME=fastapi-sllm-api
readonly MODEL=/models/HyperCLOVAX-SEED-Vision-Instruct-3B
readonly STAYS=" HOST PORT LLM_HOST LLM_PORT MODELS_DIR LOCAL_MODELS_DIR LLM_MODELS_DIR PROMPTS_DIR DATABASE_URL SLLM_MODEL_PATH VISION_MODEL_PATH MODEL_PATH HOST_MODEL_DIR "

die() {
    echo "$*" >&2
    exit 1
}

require_docker() {
    command -v docker >/dev/null ||
        die "Docker is not installed: https://docs.docker.com/engine/install (or run the server without it: ./run.sh)."
    docker info >/dev/null 2>&1 ||
        die "Docker is installed but does not answer: start it (sudo systemctl start docker), or let this user use it (sudo usermod -aG docker $USER, then log in again)."
}

from_file() { # name: its value in .env
    local line quote
    line=$(grep -E "^[[:space:]]*(export )?$1[[:space:]]*=" .env 2>/dev/null | tail -n 1) || return 0
    line=${line#*=}
    line=${line#"${line%%[![:space:]]*}"}
    case ${line:0:1} in
    \" | \') quote=${line:0:1} && line=${line:1} && line=${line%%"$quote"*} ;;
    *) line=${line%%[[:space:]]#*} && line=${line%"${line##*[![:space:]]}"} ;;
    esac
    printf '%s' "$line"
}

setting() { # name, default
    local value=${!1-}
    [[ -n $value ]] || value=$(from_file "$1")
    printf '%s' "${value:-${2-}}"
}

names() { # of all settings that .env.example knows or .env has
    cat .env.example .env 2>/dev/null | sed -nE 's/^[[:space:]]*(export )?([A-Za-z_][A-Za-z0-9_]*)[[:space:]]*=.*/\2/p' | sort -u
}

require_safe_address() { # address to publish on
    case $1 in 127.* | localhost | ::1) return ;; esac
    [[ -n $(setting API_KEYS) || $(setting ALLOW_OPEN_BIND) == true ]] ||
        die "$1 can be reached from other machines and there is no API key. Set API_KEYS=<a long secret>, or HOST=127.0.0.1, or ALLOW_OPEN_BIND=true if this network may use the server freely."
}

extras() { # model's folder: a folder of Hugging Face needs PyTorch
    if [[ -n $1 && -e $1/config.json ]] && compgen -G "$1/*.safetensors" >/dev/null; then
        echo pytorch
    fi
}

main() {
    local name value options=() model address shown port database
    model=$(setting HOST_MODEL_DIR)
    address=$(setting HOST "$(setting LLM_HOST 127.0.0.1)")
    port=$(setting PORT "$(setting LLM_PORT 8000)")
    [[ $address != localhost ]] || address=127.0.0.1
    shown=$address
    [[ $address != *:* ]] || shown="[$address]"
    require_safe_address "$address"
    [[ -z $model || -d $model ]] || die "HOST_MODEL_DIR=$model is not a folder."
    require_docker

    for name in $(names); do
        value=$(setting "$name")
        [[ -z $value || $STAYS == *" $name "* ]] && continue
        export "$name=$value" # so that no secret is on a command line
        options+=(--env "$name")
    done
    database=$(setting DATABASE_URL)
    if [[ $database == postgresql* ]]; then
        export DATABASE_URL=$database
        options+=(--env DATABASE_URL)
    fi
    [[ $(setting USE_GPU) != true ]] || options+=(--gpus all)
    if [[ -n $model ]]; then
        options+=(--volume "$(cd "$model" && pwd):$MODEL:ro" --env "MODEL_PATH=$MODEL")
    fi

    # CMAKE_ARGS=: compiled for the processor of this machine, where it also runs.
    docker build -f docker/Dockerfile -t "$IMAGE" --build-arg CMAKE_ARGS= \
        --build-arg "EXTRAS=${EXTRAS-$(extras "$model")}" ${BASE:+--build-arg "BASE=$BASE"} .
    docker stop -t 30 "$NAME" >/dev/null 2>&1 || true
    docker rm "$NAME" >/dev/null 2>&1 || true
    docker run --detach --name "$NAME" --restart unless-stopped --stop-timeout 30 \
        --publish "$shown:$port:8000" --env ALLOW_OPEN_BIND=true \
        --volume "$NAME-data:/data" --volume "$NAME-models:/models" ${options[@]+"${options[@]}"} \
        --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges "$IMAGE" >/dev/null
    echo "The server starts at http://$shown:$port (docker logs -f $NAME; docker stop $NAME)."
}

main "$@"
