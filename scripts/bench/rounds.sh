# shellcheck shell=bash
# Sourced by `run`: which contestants take part in which table. A new contestant is one more `contest` line. Reads what contest.sh reads.

# scan TABLE LANE SCRIPTS TO: a backfill into a new index, with the list of SCRIPTS scripts.
scan() {
    remove_index
    backfill_command "$2" "${bench[chain]}/list-$3.txt" "$4"
    contest "coinhound $2, $3 scripts" "$1" "$4" "{\"role\": \"coinhound\", \"lane\": \"$2\", \"list\": $3}" \
        "{\"through\": $4, \"touches\": $(touches "$3" "$4")}" "${command[@]}"
}

# One round of the contestants that read every block.
blocks_round() {
    local connections scripts slow=${bench[slow_to]} fast=${bench[fast_to]} list=${bench[chain]}/list-6.txt
    contest "loop: get_block, 2 threads, 6 scripts" blocks "$slow" '{"role": "naive", "list": 6}' \
        "{\"bytes\": $(bytes_to "$slow"), \"touches\": $(touches 6 "$slow")}" \
        "${bench[peers]}/naive" "http://$address" "${bench[chain]}/node" "$list" 0 "$slow"
    for connections in 1 2 4; do
        contest "reader: REST, $connections connection(s), discard" blocks "$fast" '{"role": "discard"}' \
            "{\"bytes\": $(bytes_to "$fast")}" "${bench[peers]}/discard" "$address" "$connections" 0 "$fast"
    done
    for scripts in 6 1000 100000; do scan blocks rest "$scripts" "$fast"; done
    remove_index
    backfill_command rest "${bench[lists]}/list-1000000.txt" "$fast"
    contest "coinhound rest, 1000000 scripts" blocks "$fast" '{"role": "coinhound", "lane": "rest", "list": 1000000}' \
        "{\"through\": $fast, \"touches\": $(touches 6 "$fast")}" "${command[@]}"
    scan blocks rpc 6 "$slow"
}

# One round of the contestants that match filters first.
filters_round() {
    local scripts lane peer name fast=${bench[fast_to]}
    for scripts in 6 1000 100000; do
        for lane in filters auto; do scan filters "$lane" "$scripts" "$fast"; done
        fixed_cost "$scripts"
    done
    for peer in scanblocks bdk; do
        name="node: scanblocks, getdescriptoractivity"
        [ "$peer" = scanblocks ] || name="bdk_bitcoind_rpc: FilterIter"
        for scripts in 6 1000; do
            contest "$name, $scripts scripts" filters "$fast" "{\"role\": \"$peer\", \"list\": $scripts}" \
                "{\"touches\": $(touches "$scripts" "$fast")}" \
                "${bench[peers]}/$peer" "http://$address" "${bench[chain]}/node" "${bench[chain]}/list-$scripts.txt" "$fast"
        done
    done
}

# fixed_cost SCRIPTS: what a backfill costs before it scans anything.
fixed_cost() {
    local scripts=$1 fast=${bench[fast_to]} list=${bench[chain]}/list-$1.txt
    local name="fixed: coinhound auto, $scripts scripts, nothing to do"
    # Over the index that the last contestant left: it starts, asks the node for its tip, reads the list, answers.
    if is_wanted "$name"; then
        backfill_command auto "$list" "$fast"
        is_wanted "coinhound auto, $scripts scripts" || { remove_index; "${command[@]}" >/dev/null 2>&1 8>&-; }
        contest "$name" filters "$fast" "{\"role\": \"fixed\", \"list\": $scripts}" "{\"through\": $fast, \"blocks\": 0}" "${command[@]}"
    fi
    # A new index, and the genesis block alone.
    remove_index
    backfill_command auto "$list" 0
    contest "fixed: coinhound auto, $scripts scripts, one block" filters 0 "{\"role\": \"fixed\", \"list\": $scripts}" \
        '{"through": 0, "touches": 0}' "${command[@]}"
}

# Many filters in one process, in which the contestants take turns.
matching() {
    local scripts
    for scripts in 6 1000; do
        is_wanted "matching, $scripts scripts" || continue
        say "${bench[filters]} filters, $scripts scripts"
        add_results "$("${bench[peers]}/filters" "http://$address" "${bench[chain]}/node" "$node" "${bench[chain]}/list-$scripts.txt" \
            "${bench[filters]}" "${bench[fast_to]}" 8>&-)"
    done
}

# On an empty node of its own.
tip_latency() {
    local datadir=${bench[work]}/tip-node
    is_wanted tip || return 0
    say "the tip: ${bench[large]} large and ${bench[small]} small blocks"
    mkdir "$datadir"
    start_node "$datadir" -logtimemicros=1
    add_results "$("${bench[peers]}/tip" "http://$address" "$datadir" "${bench[coinhound]}" "${bench[work]}" "${bench[large]}" "${bench[small]}" 8>&-)"
    stop_node
}
