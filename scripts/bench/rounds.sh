# Sourced by `run`: who takes part in what. A new contestant is one more `contest` line.
# Takes what contest.sh takes, and $slow_to, $fast_to, $filters, $large, $small, $grown.

# scan TABLE LANE SCRIPTS TO: a backfill into a fresh index.
scan() {
    rm -rf "$work/index"
    hound "$2" "$chain/list-$3.txt" "$4"
    contest "coinhound $2, $3 scripts" "$1" "$4" "{\"role\": \"coinhound\", \"lane\": \"$2\", \"list\": $3}" \
        "{\"through\": $4, \"touches\": $(touches "$3" "$4")}" "${command[@]}"
}

# One round of those that read every block.
blocks_round() {
    local connections entries bytes
    bytes=$(jq ".block_bytes[:$slow_to + 1] | add" "$chain/manifest.json")
    contest "loop: get_block, 2 threads, 6 scripts" blocks "$slow_to" '{"role": "naive", "list": 6}' \
        "{\"bytes\": $bytes, \"touches\": $(touches 6 "$slow_to")}" \
        "$peers/naive" "http://$address" "$chain/node" "$chain/list-6.txt" 0 "$slow_to"
    bytes=$(jq ".block_bytes[:$fast_to + 1] | add" "$chain/manifest.json")
    for connections in 1 2 4; do
        contest "reader: REST, $connections connection(s), discard" blocks "$fast_to" '{"role": "discard"}' "{\"bytes\": $bytes}" \
            "$peers/discard" "$address" "$connections" 0 "$fast_to"
    done
    for entries in 6 1000 100000; do scan blocks rest "$entries" "$fast_to"; done
    rm -rf "$work/index"
    hound rest "$grown/list-1000000.txt" "$fast_to"
    contest "coinhound rest, 1000000 scripts" blocks "$fast_to" '{"role": "coinhound", "lane": "rest", "list": 1000000}' \
        "{\"through\": $fast_to, \"touches\": $(touches 6 "$fast_to")}" "${command[@]}"
    scan blocks rpc 6 "$slow_to"
}

# One round of those that look at filters first.
filters_round() {
    local entries lane peer name
    for entries in 6 1000 100000; do
        for lane in filters auto; do scan filters "$lane" "$entries" "$fast_to"; done
        # Over the index at hand: there is nothing to do but to start, to ask the node where it is, to read the list, to answer.
        name="fixed: coinhound auto, $entries scripts, nothing to do"
        if wanted "$name"; then
            hound auto "$chain/list-$entries.txt" "$fast_to"
            wanted "coinhound auto, $entries scripts" || { rm -rf "$work/index"; "${command[@]}" >/dev/null 2>&1 8>&-; }
            contest "$name" filters "$fast_to" "{\"role\": \"fixed\", \"list\": $entries}" "{\"through\": $fast_to, \"blocks\": 0}" \
                "${command[@]}"
        fi
        # A new index, and the genesis block alone.
        rm -rf "$work/index"
        hound auto "$chain/list-$entries.txt" 0
        contest "fixed: coinhound auto, $entries scripts, one block" filters 0 "{\"role\": \"fixed\", \"list\": $entries}" \
            '{"through": 0, "touches": 0}' "${command[@]}"
    done
    for peer in scanblocks bdk; do
        name="node: scanblocks, getdescriptoractivity"
        [ "$peer" = scanblocks ] || name="bdk_bitcoind_rpc: FilterIter"
        for entries in 6 1000; do
            contest "$name, $entries scripts" filters "$fast_to" "{\"role\": \"$peer\", \"list\": $entries}" \
                "{\"touches\": $(touches "$entries" "$fast_to")}" \
                "$peers/$peer" "http://$address" "$chain/node" "$chain/list-$entries.txt" "$fast_to"
        done
    done
}

# Many filters in one process: contestants take turns within.
matching() {
    local entries
    for entries in 6 1000; do
        wanted "matching, $entries scripts" || continue
        say "$filters filters, $entries scripts"
        keep "$("$peers/filters" "http://$address" "$chain/node" "$node" "$chain/list-$entries.txt" "$filters" "$fast_to" 8>&-)"
    done
}

# On an empty node of its own.
tip_latency() {
    wanted tip || return 0
    say "the tip: $large large and $small small blocks"
    mkdir "$work/tip-node"
    start_node "$work/tip-node" -logtimemicros=1
    keep "$("$peers/tip" "http://$address" "$work/tip-node" "$coinhound" "$work" "$large" "$small" 8>&-)"
    stop_node
}
