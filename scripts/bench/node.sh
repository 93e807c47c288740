# Sourced by `run`: bitcoind on its own. start_node and stop_node; one node at a time, in $node (its pid) and $address.
# Takes $bitcoind, $work; the lock that `run` holds is on descriptor 8, and nobody may inherit it.

node='' address=''
stop_node() {
    [ -n "$node" ] || return 0
    kill "$node" 2>/dev/null || true
    wait "$node" || say "bitcoind (pid $node) ended with an error"
    node=
}

# start_node DATADIR [SETTING…]: returns when it answers.
start_node() {
    local datadir=$1 i; shift
    address=127.0.0.1:$(free_port)
    # The chain's times are old; without -maxtipage the node would call itself still syncing. checkblockindex is a
    # self-test that is on by default on regtest only.
    "$bitcoind" -regtest -datadir="$datadir" -rpcport="${address#*:}" -rest=1 -blockfilterindex=1 -listen=0 -connect=0 \
        -dnsseed=0 -disablewallet -persistmempool=0 -printtoconsole=0 -maxtipage=1000000000 -checkblockindex=0 \
        -checkblocks=1 -checklevel=0 "$@" 8>&- >"$work/bitcoind.log" 2>&1 &
    node=$!
    for ((i = 0; i < 1200; i++)); do
        curl -sf -o /dev/null "http://$address/rest/chaininfo.json" && return
        kill -0 "$node" 2>/dev/null || { cat "$work/bitcoind.log" >&2; die "bitcoind ended; see also $datadir/regtest/debug.log"; }
        sleep 0.1
    done
    die "bitcoind didn't answer for two minutes; see $datadir/regtest/debug.log"
}
