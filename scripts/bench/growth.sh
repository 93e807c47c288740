# Sourced by `run` for --growth: what a backfill takes against chain length, list size, touches, followed coins and threads, each
# with all else unchanged. Takes what contest.sh takes, $huge, $grown.

# long_list SIZE: that of six scripts, with others that never occur.
long_list() {
    mkdir -p "$grown"
    [ -e "$grown/list-$1.txt" ] || { say "making a list of $1 scripts"; "$peers/lists" decoys "$chain/list-6.txt" "$1" "$grown/list-$1.txt"; }
}

growth_lists() {
    local size
    sizes=(10 1000 10000 100000 1000000)
    [ -z "$huge" ] || sizes+=(10000000)
    for size in "${sizes[@]}"; do long_list "$size"; done
    if [ ! -e "$grown/shares.json" ]; then
        say "making lists of the chain's own scripts: it is read once"
        "$peers/lists" shares "http://$address" "$chain/node" "$tip" "$grown"
    fi
}

# grow NAME THING UNIT X LANE LIST TO TOUCHES [FLAG…]: one run of one line, into a fresh index. X may be followed, which is told by the
# index afterwards.
grow() {
    local name=$1 thing=$2 unit=$3 x=$4 lane=$5 list=$6 to=$7 touches=$8 fields; shift 8
    wanted "$name" || return 0
    rm -rf "$work/index"
    hound "$lane" "$list" "$to" "$@"
    fields=$(jq -nc --arg thing "$thing" --arg unit "$unit" --argjson x "$x" --arg lane "$lane" \
        '{grows: $thing, $unit, $x, role: "coinhound", $lane}')
    contest "$name" growth "$to" "$fields" "{\"through\": $to, \"touches\": $touches}" "${command[@]}"
}

# The followed coins and the records of the index at hand, into the last result, as what grows.
growth_followed() {
    local status
    status=$(env "XDG_CONFIG_HOME=$work/config" "$coinhound" --chain regtest --bitcoin-datadir "$chain/node" --rpc-url "http://$address" \
        --index "$work/index" --format json status 8>&-)
    jq -c --argjson status "$status" '.x = $status.followed | .answer.records = $status.records' <(tail -n 1 "$results") >"$work/last"
    sed -i '$d' "$results"
    cat "$work/last" >>"$results"
}

# One round. What takes minutes runs in the first one only.
growth() {
    local quarter to mb size share hops threads few
    for quarter in 1 2 3 4; do
        to=$((first_full + (tip - first_full) * quarter / 4))
        mb=$(jq --argjson to "$to" '.block_bytes[:$to + 1] | add / 1e6' "$chain/manifest.json")
        grow "growth: chain to height $to" "Chain length, 6 scripts, rest lane (x: MB)" MB "$mb" rest "$chain/list-6.txt" "$to" "$(touches 6 "$to")"
    done
    few=$(touches 6 "$tip")
    for size in "${sizes[@]}"; do
        [ "$round" = 1 ] || [ "$size" -lt 1000000 ] || continue
        grow "growth: $size scripts" "List size, rest lane; all but 6 scripts never occur" script "$size" rest "$grown/list-$size.txt" "$tip" "$few"
    done
    for share in 1 10 100; do
        [ "$round" = 1 ] || [ "$share" -lt 100 ] || continue
        size=$(jq ".[\"$share\"].touches" "$grown/shares.json")
        grow "growth: $size touches" "Touches, rest lane, nothing followed beyond the list: $(jq -r '[.[] | .scripts] | join(", ")' "$grown/shares.json") scripts of the chain" \
            touch "$size" rest "$grown/share-$share.txt" "$tip" "$size" --max-hops 0
    done
    for hops in 0 1 2 3 4; do
        wanted "growth: followed, $hops hops" || continue
        grow "growth: followed, $hops hops" "Followed coins, rest lane, $(jq '.["1"].scripts' "$grown/shares.json") scripts of the chain, 1,000 sat of taint, 0 to 4 hops" \
            coin 0 rest "$grown/share-1.txt" "$tip" "$(jq '.["1"].touches' "$grown/shares.json")" --min-taint 1000 --max-hops "$hops"
        growth_followed
    done
    for ((threads = 1; threads <= $(nproc); threads *= 2)); do
        grow "growth: $threads thread(s)" "Threads, rest lane, 6 scripts" thread "$threads" rest "$chain/list-6.txt" "$tip" "$few" --threads "$threads"
    done
}
