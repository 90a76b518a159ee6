#!/usr/bin/env bash
# The stock `cfy` client does the whole tour of snapshots against two managers: created on one,
# downloaded, uploaded to a fresh second one, and restored there. Whatever is not as it should be ends it.
#
#   examples/manager/tour.sh MANAGER CFY      # the example's binary, and the client's
set -euo pipefail
manager=$1 client=$2
work=$(mktemp -d)
export CFY_WORKDIR=$work/client HOME=$work/home
mkdir -p "$CFY_WORKDIR" "$HOME"
trap 'kill "${first:-}" "${second:-}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

cfy() { # as a person would: what is asked, and what is said
    echo "\$ cfy $*"
    "$client" "$@" 2>&1 | tr '\r' '\n' | grep -v '|[#-]*|'
}
serve() {
    mkdir -p "$work/$1"
    "$manager" serve --folder "$work/$1" --key "$work/key" --listen "127.0.0.1:$2" >"$work/$1.log" 2>&1 &
}
ask() { # PORT METHOD PATH [BODY]
    curl -sS --fail-with-body -u admin:admin -X "$2" -H 'Content-Type: application/json' \
        "http://127.0.0.1:$1/api/v3.1$3" ${4:+--data-binary "$4"}
}
until_ready() {
    for _ in $(seq 300); do
        ask "$1" GET /version >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$work"/*.log
    exit 1
}
until_said() { # COMMAND… : until it prints what $want says
    for _ in $(seq 300); do
        "$@" 2>&1 | grep -q "$want" && return
        sleep 0.2
    done
    echo "never said: $want"
    "$@"
    exit 1
}
use() {
    "$client" profiles use 127.0.0.1 --profile-name "$1" -u admin -p admin -t default_tenant --rest-port "$2" >"$work/use.log" 2>&1 || { cat "$work/use.log" "$work"/*.log; exit 1; }
    "$client" profiles use "$1" >/dev/null
}
refused() { # COMMAND… : it fails, and says what $want says
    local said
    if said=$("$@" 2>&1); then echo "not refused: $*"; exit 1; fi
    grep -q "$want" <<<"$said" || { echo "$said"; exit 1; }
    echo "\$ cfy ${*:2}"
    echo "refused: $(grep "$want" <<<"$said" | head -1 | cut -c1-160)"
}

serve one 8101; first=$!
until_ready 8101
serve two 8102; second=$!
until_ready 8102
for n in 1 2 3; do
    ask 8101 PUT /blueprints/blueprint-$n "node_templates: { number: $n }" >/dev/null
    ask 8101 PUT /deployments/deployment-$n "{\"blueprint_id\":\"blueprint-$n\",\"inputs\":{\"n\":$n}}" >/dev/null
done
head -c 300000 /dev/urandom >"$work/wheel"
ask 8101 PUT /plugins/plugin-1 "@$work/wheel" >/dev/null
ask 8101 PUT /secrets/token '{"value":"hunter2"}' >/dev/null
echo "-----BEGIN" >"$work/one/keys/agent.pem"

use one 8101
cfy snapshots create monday -w
cfy snapshots list
cfy snapshots status
cfy snapshots download monday -o "$work/monday.zip"
want='already exists' refused "$client" snapshots create monday
want='begins with a letter\|must begin\|illegal' refused "$client" snapshots create 1monday
want='not_found\|there is no snapshot' refused "$client" snapshots download tuesday -o "$work/no.zip"

use two 8102
cfy snapshots upload "$work/monday.zip" -s monday
cfy snapshots list
cfy snapshots restore monday
want='No snapshot is currently being restored' until_said "$client" snapshots status
for kind in blueprints deployments plugins secrets users tenants; do
    diff <(ask 8101 GET /$kind) <(ask 8102 GET /$kind)
done
for folder in blueprints plugins keys; do
    diff -r "$work/one/$folder" "$work/two/$folder"
done
want='not clean' refused "$client" snapshots restore monday
ask 8102 PUT /secrets/later '{"value":"x"}' >/dev/null
cfy snapshots restore monday --force
want='No snapshot is currently being restored' until_said "$client" snapshots status
diff <(ask 8101 GET /secrets) <(ask 8102 GET /secrets)
# The same restore once more, watched as it goes, and taken back.
ask 8102 PUT /secrets/latest '{"value":"x"}' >/dev/null
before=$(ask 8102 GET /secrets)
restore=$(ask 8102 POST /snapshots/monday/restore '{"force":true}' | grep -o '"id":"[^"]*"' | cut -d'"' -f4)
ask 8102 GET "/executions/$restore/progress" >"$work/events"
[ "$(grep -c '^data: ' "$work/events")" -gt 2 ]
head -1 "$work/events" | grep -q '"status":"started"'
tail -2 "$work/events" | grep -q '"status":"terminated"'
grep -q '✓ put .* in place' "$work/events"
moved() { # what of its progress stands in each event
    grep -o "\"progress\":{[^}]*}" "$work/events" | grep -o "\"$1\":[0-9]*" | cut -d: -f2
}
diff <(moved done) <(moved done | sort -n)
[ "$(moved total | sort -u | wc -l)" = 1 ]
[ "$(moved done | tail -1)" = "$(moved total | tail -1)" ]
grep -q '"unit":"bytes"' "$work/events"
echo "watched: $(grep -c '^data: ' "$work/events") events, the last says that it has ended, with all of $(moved total | tail -1) bytes"
diff <(ask 8101 GET /secrets) <(ask 8102 GET /secrets)
undo=$(ask 8102 POST "/executions/$restore/undo" | grep -o '"id":"[^"]*"' | cut -d'"' -f4)
ask 8102 GET "/executions/$undo/progress" | tail -2 | grep -q '"status":"terminated"'
[ "$before" = "$(ask 8102 GET /secrets)" ]
echo "undone: what was there before is there again"
cfy snapshots delete monday
head -c 30000 "$work/monday.zip" >"$work/cut.zip"
want='cut off\|damaged' refused "$client" snapshots upload "$work/cut.zip" -s cut
want='failed' refused "$client" snapshots restore cut
cfy snapshots list
use one 8101
cfy snapshots delete monday
cfy snapshots list
ask 8101 GET /snapshots | grep -q '"total":0'
echo "the tour is done: both managers are equal"
