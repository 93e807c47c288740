# Sourced by the scripts beside it: where things are cached, how they speak, how a Debian package gets installed.
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
