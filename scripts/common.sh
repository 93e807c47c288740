# shellcheck shell=bash
# Sourced by the scripts beside it: the cache, messages, installing and unpacking Debian packages, free ports.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${COINHOUND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/coinhound}
umask 022

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# need_debian PACKAGE WHAT: installs one Debian package, or says in one line what to install by hand.
need_debian() {
    local as_root=()
    command -v apt-get >/dev/null || die "this machine has no apt; install $2 by hand and run this again"
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || die "install $2 first: sudo apt-get install $1"
        as_root=(sudo -n)
    fi
    say "installing $1 ($2)"
    if ! "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$1" >/dev/null 2>&1; then
        "${as_root[@]}" apt-get update -qq >/dev/null || die "apt-get update failed; install $2 by hand"
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >&2 ||
            die "apt-get could not install $1; install $2 by hand"
    fi
}

# structure COMMAND ROOT: what scripts/structure reads from the sources in ROOT.
structure() {
    cargo run --quiet --locked --manifest-path "$root/scripts/structure/Cargo.toml" --target-dir "$cache/structure/target" -- "$@"
}

# free_port: a port of 127.0.0.1 that has no listener.
free_port() {
    local port
    while port=$((20000 + RANDOM % 20000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# only_one FILE: waits until no other script holds FILE, then holds it until this one ends.
only_one() {
    mkdir -p "${1%/*}"
    exec 9>"$1"
    flock 9
}

# cached_program PROGRAM: prints PROGRAM and ends the script if it exists and the script's `is_usable` accepts it.
cached_program() {
    if [ -x "$1" ] && is_usable "$1"; then echo "$1"; exit; fi
}

has_apt() { command -v apt-get >/dev/null && command -v dpkg >/dev/null; }

# unpack_debian HOME SUITES LEFT_OUT ADVICE PACKAGE…: unpacks packages and what they depend on into HOME/root, without installing
# anything. They are of the first of SUITES, or of another one where the first lacks them. LEFT_OUT is a regular expression for
# packages that must be this machine's own. ADVICE says what to do where that is not possible.
unpack_debian() {
    local home=$1 left_out=$3 advice=$4 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed='' suite suites apt deb
    read -ra suites <<<"$2"
    shift 4
    rm -rf "$home"
    mkdir -p "$home"/lists/partial "$home"/cache/archives/partial "$home"/root
    : >"$home/status"
    # apt itself expands $(SITE).
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -E '/debian/?$' | head -n 1 || true)
    [ -n "$mirror" ] || mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ')
    [ -n "$mirror" ] || die "no Debian mirror in this machine's apt sources; $advice"
    [ ! -e "$keyring" ] || signed="[signed-by=$keyring] "
    for suite in "${suites[@]}"; do echo "deb $signed$mirror $suite main"; done >"$home/sources.list"
    # An empty status file: everything counts as not installed, so that all dependencies are unpacked too.
    apt=(apt-get -qq -o "Dir::Etc::SourceList=$home/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$home/lists"
        -o "Dir::State::status=$home/status" -o "Dir::Cache=$home/cache" -o "APT::Default-Release=${suites[0]}" -o Debug::NoLocking=1
        -o APT::Sandbox::User=)
    "${apt[@]}" update >&2 || die "could not read Debian's package lists"
    "${apt[@]}" -y --no-install-recommends --download-only install "$@" >&2 || die "could not download $*"
    for deb in "$home"/cache/archives/*.deb; do
        [[ ${deb##*/} =~ ^($left_out)_ ]] || dpkg -x "$deb" "$home/root"
    done
    rm -rf "$home/cache" "$home/lists"
}
