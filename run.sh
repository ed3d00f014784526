#!/usr/bin/env bash
# The one door for users and developers: `./run.sh help` lists the commands.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly VENV=.venv
readonly PY=$VENV/bin/python
readonly LOG=$VENV/install.log
readonly CONSTRAINTS=$VENV/constraints.txt
readonly NEEDED_MB=2000 # packages, llama.cpp's sources and its build
readonly MLX_VLM=mlx-vlm==0.7.10

help() {
    cat <<'TEXT'
Usage: ./run.sh [COMMAND] [ARGUMENTS]

  serve            install what is missing and start the server (the default);
                   --workers N: N API processes that share the models
  start, stop      the same in the background, until it is stopped
  status, logs     how it is; the end of its log (-f: and what is added, -n N: N lines)
  health           ask the server at HOST and PORT; ends with 1 where it is ill or silent
  unit MANAGER     print a file for systemd or launchd, which then keep the server running
  install [EXTRA]  only install; with an extra (langchain, mlx, pytorch, onnx-builder)
                   that as well
  pull [NAME]      download a model (a small one to begin with: smollm2-135m);
                   without a name, list the recommended ones
                   (--check: are there newer revisions? --update: take them)
  convert FOLDER   make an MLX or ONNX model of a Hugging Face folder:
                   --to mlx|onnx [--quantize 4|8|none] [--dtype TYPE] [--name NAME]
  models [ID]      list the models on this machine, or describe one
  rm ID            remove a pulled model
  ps               the models that the running server has loaded
  chat [ID]        talk to a model in the terminal
  test [PYTEST…]   run the tests of every day, three at a time (-n 0: one, which
                   --pdb needs); OFFLINE=1 leaves out what needs the package index
    test --fast      the engines echo and GGUF, on SQLite, without what takes seconds
    test --all       every engine and database, and everything that repeats
    test --clients   clients of others, in environments of their own
  check            lint, format and type checks, of scripts and container files too
  docs             export the API reference into api_docs/
  mcp              speak the Model Context Protocol over stdin and stdout, for an
                   agent's host that starts this (--config HOST: what that host reads)
  migrate          bring the database to this version (serve does it as well)
  backup [FILE]    copy the database, also while the server runs
  restore FILE     put such a copy in the place of the database, which is kept aside
  update           pull the newest version, bring the database to it and start it;
                   back to this one if it does not become healthy
  bench [ARGS…]    measure the speed; workloads, --quick, --rounds N, --before CHECKOUT:
                   see bench/README.md

Settings come from the environment or .env, see .env.example: PORT=8001 ./run.sh
The first start also reads:
  PYTHON             the Python to use (3.11 or newer)
  LLAMA_WHEEL_INDEX  a package index with prebuilt llama-cpp-python wheels
  CMAKE_ARGS         how to compile llama.cpp: CMAKE_ARGS=-DGGML_CUDA=on for NVIDIA GPUs
TEXT
}

die() {
    echo "$*" >&2
    exit 1
}

good_python() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1
}

find_python() {
    local name names=(python3 python3.14 python3.13 python3.12 python3.11)
    [[ -z ${PYTHON-} ]] || names=("$PYTHON")
    for name in "${names[@]}"; do
        if good_python "$name"; then
            echo "$name"
            return
        fi
    done
    die "Python 3.11 to 3.14 is needed, but ${names[0]} is $(version_of "${names[0]}"): install one, or name it: PYTHON=/path/to/python3 ./run.sh"
}

version_of() {
    "$1" --version 2>/dev/null || echo "missing"
}

ensure_venv() {
    local python
    if [[ -x $PY ]] && good_python "$PY"; then
        return
    fi
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "This Python cannot create virtual environments: install its venv module (Debian, Ubuntu: sudo apt install python3-venv)."
    echo "Creating $VENV with $("$python" --version)"
    "$python" -m venv --clear "$VENV" || die "$VENV could not be created."
}

ensure_space() {
    local folder free
    for folder in . "${TMPDIR:-/tmp}"; do
        free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
        ((free >= NEEDED_MB)) ||
            die "Installing needs $NEEDED_MB MB of free disk, but only $free MB are free in $folder."
    done
}

ensure_compiler() {
    local name
    for name in ${CXX:-c++ g++ clang++}; do
        if "$name" --version >/dev/null 2>&1; then
            return
        fi
    done
    die "A C++ compiler is needed to build llama.cpp: install one (Debian, Ubuntu: sudo apt install g++; macOS: xcode-select --install) or name an index of prebuilt wheels in LLAMA_WHEEL_INDEX."
}

show_progress() { # label, seconds so far, step: in place on a terminal, else a line every 15 s
    if [[ -t 1 ]]; then
        printf '\r\033[K%s … %d s %s' "$@"
    elif (($2 % 15 == 0)); then
        printf '%s … %d s %s\n' "$@"
    fi
}

logged() { # label, command: run it into the log while showing the time and ninja's [n/m]
    local label=$1 start=$SECONDS job step
    shift
    : >"$LOG"
    set -m # its own process group, so that Ctrl-C can end a whole compiler tree
    "$@" >"$LOG" 2>&1 </dev/null &
    job=$!
    set +m
    trap 'kill -- -'"$job"' 2>/dev/null; exit 130' INT TERM
    while kill -0 "$job" 2>/dev/null; do
        step=$(grep -oE '^ *\[[0-9]+/[0-9]+\]' "$LOG" | tail -n 1 || true)
        show_progress "$label" $((SECONDS - start)) "$step"
        sleep 1
    done
    trap - INT TERM
    [[ ! -t 1 ]] || printf '\r\033[K'
    if wait "$job"; then
        echo "$label: done in $((SECONDS - start)) s"
    else
        return 1
    fi
}

stop_if_known() { # what failed: end with one sentence where the log shows a well-known reason
    if grep -q 'No space left on device' "$LOG"; then
        die "$1 failed: the disk is full."
    elif tail -n 30 "$LOG" | grep -q 'after connection broken by'; then
        die "$1 failed: the package index cannot be reached; check the network, or name a mirror in PIP_INDEX_URL."
    fi
}

explain_failure() { # what failed
    stop_if_known "$1"
    tail -n 40 "$LOG" | cut -c 1-200 >&2
    die "$1 failed: the end of the log is above, all of it in $LOG"
}

pip_install() {
    "$PY" -m pip install --disable-pip-version-check --constraint "$CONSTRAINTS" "$@"
}

recall_recipe() { # llama.cpp is built as the last time until one of the two variables is set
    if [[ -z ${CMAKE_ARGS+set}${LLAMA_WHEEL_INDEX+set} && -e $VENV/llama-recipe ]]; then
        { read -r CMAKE_ARGS && read -r LLAMA_WHEEL_INDEX; } <"$VENV/llama-recipe"
    fi
    CMAKE_ARGS=${CMAKE_ARGS-}
    LLAMA_WHEEL_INDEX=${LLAMA_WHEEL_INDEX-}
}

recipe() {
    printf '%s\n%s\n' "$CMAKE_ARGS" "$LLAMA_WHEEL_INDEX"
}

llama_is_there() { # requirement: that version, built by this recipe
    [[ $(recipe) == "$(cat "$VENV/llama-recipe" 2>/dev/null)" ]] &&
        "$PY" -m pip freeze | grep "^llama_cpp_python==${1##*==}" >/dev/null # -q would break the pipe
}

built_before() { # requirement: does pip's own cache hold a wheel of it?
    "$PY" -m pip cache list llama_cpp_python 2>/dev/null | grep -q -- "-${1##*==}-"
}

find_wheel() { # requirement, pip flags: install without compiling where an index has a wheel
    local task="Looking for a wheel of $1"
    logged "$task" pip_install --no-deps --only-binary llama-cpp-python "$@" || {
        stop_if_known "$task"
        return 1
    }
}

compile_llama() { # requirement, pip flags
    if [[ -n $CMAKE_ARGS ]] || ! built_before "$1"; then
        ensure_compiler
        echo "Compiling llama.cpp for this machine, once: about 5 CPU-minutes (3 minutes on 2 cores)."
        echo "A prebuilt wheel would save that: LLAMA_WHEEL_INDEX=https://… ./run.sh (see README)."
    fi
    CMAKE_ARGS="$CMAKE_ARGS '-DCMAKE_PROJECT_llama_cpp_INCLUDE=$PWD/scripts/llama-build.cmake'" \
        logged "Building $1" pip_install -v "$@" || explain_failure "Building $1"
}

install_llama() {
    local requirement flags=()
    requirement=$(grep '^llama-cpp-python==' "$CONSTRAINTS")
    if llama_is_there "$requirement"; then
        return
    fi
    [[ -z $LLAMA_WHEEL_INDEX ]] || flags+=(--extra-index-url "$LLAMA_WHEEL_INDEX" --prefer-binary)
    [[ ! -e $VENV/llama-recipe ]] || flags+=(--no-deps --force-reinstall)
    if [[ -n $CMAKE_ARGS ]]; then
        # pip's cache does not look at CMAKE_ARGS: what it holds may be another build.
        flags+=(--no-cache-dir --no-binary llama-cpp-python)
        compile_llama "$requirement" "${flags[@]}"
    else
        find_wheel "$requirement" ${flags[@]+"${flags[@]}"} ||
            compile_llama "$requirement" ${flags[@]+"${flags[@]}"}
    fi
    recipe >"$VENV/llama-recipe"
}

fingerprint() {
    { cat pyproject.toml poetry.lock && recipe && echo "$MLX_VLM"; } | cksum
}

install() { # [extra]: nothing to do while pyproject.toml, poetry.lock and the recipe are the same
    local extra=${1-} stamp=$VENV/installed${1:+-$1}
    recall_recipe
    if [[ -x $PY && $(fingerprint) == "$(cat "$stamp" 2>/dev/null)" ]]; then
        return
    fi
    ensure_space
    ensure_venv
    "$PY" scripts/constraints.py >"$CONSTRAINTS"
    install_llama
    logged "Installing the packages${extra:+ for $extra}" pip_install --editable ".${extra:+[$extra]}" ||
        explain_failure "Installing the packages"
    [[ $extra != mlx ]] || install_mlx_vlm
    fingerprint >"$stamp"
}

install_mlx_vlm() { # only its models are used: what it declares beside them is heavy (OpenCV, audio)
    logged "Installing $MLX_VLM" pip_install --no-deps "$MLX_VLM" ||
        explain_failure "Installing $MLX_VLM"
}

mlx_exists() { # MLX has wheels for Apple silicon and for Linux with a C library from 2022 on
    local glibc
    case $(uname -sm) in
    "Darwin arm64") return ;;
    Linux*) glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || return 1 ;;
    *) return 1 ;;
    esac
    [[ $(printf '%s\n' 2.35 "${glibc##* }" | sort -V | head -n 1) == 2.35 ]]
}

pytorch_exists() { # PyTorch has no wheels for Macs with Intel processors any more
    [[ $(uname -sm) != "Darwin x86_64" ]]
}

check() {
    local file
    shopt -s nullglob
    "$PY" -m ruff check
    "$PY" -m ruff format --check
    "$PY" -m mypy
    "$VENV/bin/shellcheck" ./*.sh .ci/run docker/*.sh
    for file in docker/Dockerfile*; do
        # DL3008 asks for exact versions of Debian's packages, which vanish with each update.
        "$VENV/bin/hadolint" --ignore DL3008 "$file"
    done
    "$VENV/bin/check-jsonschema" --builtin-schema vendor.compose-spec docker/compose*.yml
    "$PY" scripts/check_powershell.py ./*.ps1
}

main() {
    local command=${1:-serve}
    shift || true
    case $command in
    serve | start | stop | status | logs | health | unit | ps | chat | rm | pull | convert | models | docs | \
        migrate | backup | restore | update)
        install
        exec "$PY" -m app.cli "$command" "$@"
        ;;
    mcp)
        install >&2 # the standard output is the host's
        exec "$PY" -m app.cli mcp "$@"
        ;;
    install)
        install "$@"
        ;;
    test)
        install test
        ! mlx_exists || install mlx
        ! pytorch_exists || install pytorch
        # The servers that tests start would compile every module anew.
        unset PYTHONDONTWRITEBYTECODE
        # Three at a time: half of the time a test waits.
        exec "$PY" -m pytest -n 3 --dist worksteal "$@"
        ;;
    check)
        install test
        check
        ;;
    bench)
        install bench
        exec "$PY" -m bench "$@"
        ;;
    help | -h | --help)
        help
        ;;
    *)
        die "There is no command '$command': ./run.sh help lists them."
        ;;
    esac
}

main "$@"
