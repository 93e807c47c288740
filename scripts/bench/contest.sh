# Sourced by `run`: runs one contestant, checks its answer, adds a line to $results.
# Takes $peers, $coinhound, $chain, $node, $address, $work, $only, $tip, $results, $round.

fact() { jq -er "$1" "$chain/manifest.json" || die "$chain/manifest.json lacks $1; remove $chain and run this again"; }

# How many outputs and inputs through height TO touch the list of so many scripts: touches SCRIPTS TO.
touches() {
    jq -e --arg list "$1" --argjson to "$2" \
        '[.lists[$list].by_height | to_entries[] | select((.key | tonumber) <= $to).value | .fundings + .spendings] | add // 0' \
        "$chain/manifest.json"
}

# The number of results: whether anything was measured at all.
measured=0
wanted() { [[ $1 =~ $only ]]; }

# Adds lines of JSON to the results.
keep() {
    printf '%s\n' "$1" >>"$results"
    measured=$((measured + 1))
}

# contest NAME TABLE TO FIELDS EXPECTED COMMAND…: measures COMMAND over heights 0 to TO. FIELDS are those of the result that the
# report needs besides; EXPECTED is what the answer must say, field by field: both JSON objects.
contest() {
    local name=$1 table=$2 to=$3 fields=$4 expected=$5 line wrong sweep; shift 5
    wanted "$name" || return 0
    if ! line=$("$peers/measure" "$node" "$@" 2>"$work/stderr" 8>&-); then
        cat "$work/stderr" >&2
        die "'$name' failed: ${line:-no measurement}"
    fi
    # coinhound says in its log how long it took from the first block asked for to the last one written.
    sweep=$(sed -n 's/.* scanned heights [0-9]* to [0-9]* in \([0-9.]*\) s: .*/\1/p' "$work/stderr" | tail -n 1)
    line=$(jq -c --argjson sweep_s "${sweep:-null}" --arg contestant "$name" --arg table "$table" --argjson to "$to" --argjson round "$round" \
        --argjson fields "$fields" --argjson expected "$expected" --slurpfile manifest "$chain/manifest.json" \
        '{$table, $contestant, $round, $to, $sweep_s, filled_blocks: ([$to - 100, 0] | max),
            bytes: ($manifest[0].block_bytes[:$to + 1] | add), $expected} + $fields + .' <<<"$line")
    # Readers must have read every byte; who looks for scripts must have found what the generator put there.
    wrong=$(jq -r '.answer as $said | [
        (if .exit != 0 then "exit code \(.exit)" else empty end),
        (.expected | to_entries[] | select($said[.key] != .value) | "\(.key) \($said[.key]), but it is \(.value)")
        ] | join("; ")' <<<"$line")
    [ -z "$wrong" ] || die "'$name' gives a wrong answer: $wrong"
    keep "$line"
    jq -r '"  \(.contestant): \(.wall_s * 1000 | round / 1000) s"' <<<"$line" >&2
}

# hound LANE LIST TO [FLAG…]: the command line of a backfill, in $command; TO is a height, and nothing at the tip.
hound() {
    local lane=$1 list=$2 to=$3; shift 3
    command=(env "XDG_CONFIG_HOME=$work/config" "$coinhound" --chain regtest --bitcoin-datadir "$chain/node" --rpc-url "http://$address"
        --lane "$lane" --index "$work/index" --watch "$list" --format json "$@" backfill)
    # At the tip there is nothing left to stop before.
    [ "$to" = "$tip" ] || command+=(--to "$to")
}
