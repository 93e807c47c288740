# shellcheck shell=bash
# Sourced by `run`: runs one contestant, checks its answer, and adds a line to the results. Reads `bench`, $node and $address.

# fact FILTER: a fact about the chain, by a jq filter.
fact() {
    jq -er "$1" "${bench[chain]}/manifest.json" ||
        die "${bench[chain]}/manifest.json lacks $1; remove ${bench[chain]} and run this again"
}

# touches SCRIPTS TO: outputs and inputs through height TO that touch the list of SCRIPTS scripts.
touches() {
    jq -e --arg list "$1" --argjson to "$2" \
        '[.lists[$list].by_height | to_entries[] | select((.key | tonumber) <= $to).value | .fundings + .spendings] | add // 0' \
        "${bench[chain]}/manifest.json"
}

# bytes_to HEIGHT: bytes of all blocks from genesis through HEIGHT.
bytes_to() { jq ".block_bytes[:$1 + 1] | add" "${bench[chain]}/manifest.json"; }

# is_wanted NAME: whether --only matches the contestant's name.
is_wanted() { [[ $1 =~ ${option[only]} ]]; }

# add_results LINES: adds lines of JSON to the results.
add_results() { printf '%s\n' "$1" >>"${bench[results]}"; }

# contest NAME TABLE TO FIELDS EXPECTED COMMAND…: measures COMMAND over heights 0 to TO. FIELDS is a JSON object of fields that the
# report needs besides; EXPECTED is one of the fields that the answer must have.
contest() {
    local name=$1 table=$2 to=$3 fields=$4 expected=$5 line wrong sweep; shift 5
    is_wanted "$name" || return 0
    if ! line=$("${bench[peers]}/measure" "$node" "$@" 2>"${bench[work]}/stderr" 8>&-); then
        cat "${bench[work]}/stderr" >&2
        die "'$name' failed: ${line:-no measurement}"
    fi
    # coinhound logs how long it took from the first block asked for to the last one written.
    sweep=$(sed -n 's/.* scanned heights [0-9]* to [0-9]* in \([0-9.]*\) s: .*/\1/p' "${bench[work]}/stderr" | tail -n 1)
    line=$(jq -c --argjson sweep_s "${sweep:-null}" --arg contestant "$name" --arg table "$table" --argjson to "$to" \
        --argjson round "${bench[round]}" --argjson fields "$fields" --argjson expected "$expected" --argjson bytes "$(bytes_to "$to")" \
        '{$table, $contestant, $round, $to, $sweep_s, filled_blocks: ([$to - 100, 0] | max), $bytes, $expected} + $fields + .' <<<"$line")
    # A reader must have read every byte; a scanner must have found what the generator put there.
    wrong=$(jq -r '.answer as $answer | [
        (if .exit != 0 then "exit code \(.exit)" else empty end),
        (.expected | to_entries[] | select($answer[.key] != .value) | "\(.key) \($answer[.key]), but it is \(.value)")
        ] | join("; ")' <<<"$line")
    [ -z "$wrong" ] || die "'$name' gives a wrong answer: $wrong"
    add_results "$line"
    jq -r '"  \(.contestant): \(.wall_s * 1000 | round / 1000) s"' <<<"$line" >&2
}

# coinhound_command FLAG… COMMAND: sets the array `command` to a command line of coinhound with the bench's node and index.
coinhound_command() {
    command=(env "XDG_CONFIG_HOME=${bench[work]}/config" "${bench[coinhound]}" --chain regtest --bitcoin-datadir "${bench[chain]}/node"
        --rpc-url "http://$address" --index "${bench[work]}/index" --format json "$@")
}

# backfill_command LANE LIST TO [FLAG…]: the same for a backfill through height TO.
backfill_command() {
    local lane=$1 list=$2 to=$3; shift 3
    coinhound_command --lane "$lane" --watch "$list" "$@" backfill
    # At the tip there is no height to stop before.
    [ "$to" = "${bench[tip]}" ] || command+=(--to "$to")
}

# remove_index: the next backfill makes a new index.
remove_index() { rm -rf "${bench[work]}/index"; }
