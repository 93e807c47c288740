# shellcheck shell=bash
# Sourced by `run`: starts and stops a regtest bitcoind, one at a time. $node is its process id, $address its host and port.
# Descriptor 8 holds the lock of `run`; no child may inherit it.

node='' address=''
stop_node() {
    [ -n "$node" ] || return 0
    kill "$node" 2>/dev/null || true
    wait "$node" || say "bitcoind (pid $node) ended with an error"
    node=
}

# start_node DATADIR [SETTING…]: returns when the node answers.
start_node() {
    local datadir=$1 i; shift
    address=127.0.0.1:$(free_port)
    # The chain's times are old; without -maxtipage the node would call itself still syncing. checkblockindex is a
    # self-test that is on by default on regtest only.
    "${bench[bitcoind]}" -regtest -datadir="$datadir" -rpcport="${address#*:}" -rest=1 -blockfilterindex=1 -listen=0 -connect=0 \
        -dnsseed=0 -disablewallet -persistmempool=0 -printtoconsole=0 -maxtipage=1000000000 -checkblockindex=0 \
        -checkblocks=1 -checklevel=0 "$@" 8>&- >"${bench[work]}/bitcoind.log" 2>&1 &
    node=$!
    for ((i = 0; i < 1200; i++)); do
        curl -sf -o /dev/null "http://$address/rest/chaininfo.json" && return
        kill -0 "$node" 2>/dev/null || { cat "${bench[work]}/bitcoind.log" >&2; die "bitcoind ended; see also $datadir/regtest/debug.log"; }
        sleep 0.1
    done
    die "bitcoind did not answer for two minutes; see $datadir/regtest/debug.log"
}
