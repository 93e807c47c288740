# shellcheck shell=bash
# Sourced by `run` for --growth: the cost of a backfill against chain length, list size, touches, followed coins and threads, each
# with all else unchanged. Reads what contest.sh reads.

# list_sizes: the sizes of the lists to measure with.
list_sizes() { echo 10 1000 10000 100000 1000000 ${option[huge]:+10000000}; }

# make_list SIZE: the list of six scripts, and others that the chain does not have, up to SIZE.
make_list() {
    local list=${bench[lists]}/list-$1.txt
    mkdir -p "${bench[lists]}"
    [ -e "$list" ] || { say "making a list of $1 scripts"; "${bench[peers]}/lists" decoys "${bench[chain]}/list-6.txt" "$1" "$list"; }
}

make_growth_lists() {
    local size
    for size in $(list_sizes); do make_list "$size"; done
    if [ ! -e "${bench[lists]}/shares.json" ]; then
        say "making lists of the chain's own scripts, which reads the chain once"
        "${bench[peers]}/lists" shares "http://$address" "${bench[chain]}/node" "${bench[tip]}" "${bench[lists]}"
    fi
}

# grow NAME FIELDS LIST TO TOUCHES [FLAG…]: one backfill by the rest lane into a new index. FIELDS is a JSON object with what grows
# (grows), its unit and its size (x).
grow() {
    local name=$1 fields=$2 list=$3 to=$4 touches=$5; shift 5
    is_wanted "$name" || return 0
    remove_index
    backfill_command rest "$list" "$to" "$@"
    contest "$name" growth "$to" "$(jq -c '. + {role: "coinhound", lane: "rest"}' <<<"$fields")" \
        "{\"through\": $to, \"touches\": $touches}" "${command[@]}"
}

# fields THING UNIT X: the fields that `grow` takes.
fields() { jq -nc --arg grows "$1" --arg unit "$2" --argjson x "$3" '{$grows, $unit, $x}'; }

# share SHARE FIELD: a fact about the list of SHARE in a thousand of the chain's scripts.
share() { jq ".[\"$1\"].$2" "${bench[lists]}/shares.json"; }

# One round. What takes minutes runs in the first round only.
growth_round() {
    local size threads few tip=${bench[tip]} six=${bench[chain]}/list-6.txt
    few=$(touches 6 "$tip")
    grow_chain
    for size in $(list_sizes); do
        [ "${bench[round]}" = 1 ] || [ "$size" -lt 1000000 ] || continue
        grow "growth: $size scripts" "$(fields "List size, rest lane; all but 6 scripts never occur" script "$size")" \
            "${bench[lists]}/list-$size.txt" "$tip" "$few"
    done
    grow_touches
    grow_followed
    for ((threads = 1; threads <= $(nproc); threads *= 2)); do
        grow "growth: $threads thread(s)" "$(fields "Threads, rest lane, 6 scripts" thread "$threads")" "$six" "$tip" "$few" --threads "$threads"
    done
}

grow_chain() {
    local quarter to mb first_full=${bench[first_full]}
    for quarter in 1 2 3 4; do
        to=$((first_full + (bench[tip] - first_full) * quarter / 4))
        mb=$(jq -n "$(bytes_to "$to") / 1e6")
        grow "growth: chain to height $to" "$(fields "Chain length, 6 scripts, rest lane (x: MB)" MB "$mb")" \
            "${bench[chain]}/list-6.txt" "$to" "$(touches 6 "$to")"
    done
}

grow_touches() {
    local share size scripts
    scripts=$(jq -r '[.[] | .scripts] | join(", ")' "${bench[lists]}/shares.json")
    for share in 1 10 100; do
        [ "${bench[round]}" = 1 ] || [ "$share" -lt 100 ] || continue
        size=$(share "$share" touches)
        grow "growth: $size touches" \
            "$(fields "Touches, rest lane, nothing followed beyond the list: $scripts scripts of the chain" touch "$size")" \
            "${bench[lists]}/share-$share.txt" "${bench[tip]}" "$size" --max-hops 0
    done
}

grow_followed() {
    local hops name
    for hops in 0 1 2 3 4; do
        name="growth: followed, $hops hops"
        is_wanted "$name" || continue
        grow "$name" \
            "$(fields "Followed coins, rest lane, $(share 1 scripts) scripts of the chain, 1,000 sat of taint, 0 to 4 hops" coin 0)" \
            "${bench[lists]}/share-1.txt" "${bench[tip]}" "$(share 1 touches)" --min-taint 1000 --max-hops "$hops"
        count_followed
    done
}

# Puts the followed coins and the records of the index into the last result; the coins are what grows.
count_followed() {
    local status
    coinhound_command status
    status=$("${command[@]}" 8>&-)
    jq -c --argjson status "$status" '.x = $status.followed | .answer.records = $status.records' <(tail -n 1 "${bench[results]}") >"${bench[work]}/last"
    sed -i '$d' "${bench[results]}"
    cat "${bench[work]}/last" >>"${bench[results]}"
}
