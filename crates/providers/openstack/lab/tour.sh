#!/usr/bin/env bash
# tour.sh EXAMPLE - the example, as it was built, against the lab, which is up: a server with two
# volumes is taken, launched anew from its snapshot, and the cloud is then as before.
set -euo pipefail
example=$(realpath "$1")
cd "$(dirname "$0")/.."
export STILLPOINT_OPENSTACK_LAB=${OSLAB_DIR:-/var/tmp/oslab} STILLPOINT_OPENSTACK_CLOUD=demo
export OS_CLIENT_CONFIG_FILE=$STILLPOINT_OPENSTACK_LAB/clouds.yaml

hand() { # JSON: what the stock SDK answers to it
    /usr/bin/python3 tests/cloud/hand.py <<<"$1"
}
fail() {
    echo "tour.sh: $*" >&2
    exit 1
}

kept=$(hand '{"do": "inventory"}')
kept=$(/usr/bin/python3 -c 'import json, sys; print(json.dumps(list(json.loads(sys.argv[1])["ok"])))' "$kept")
clean() {
    hand "{\"do\": \"clean\", \"with\": [$kept]}" >/dev/null
}
trap clean EXIT
hand '{"do": "instance", "with": ["tour", [["root", 1], ["data", 1]]]}' | grep -q '"ok"' || fail "no server"
before=$(hand '{"do": "inventory"}')
listed=$("$example" --cloud demo)
grep -q "tour  *On, .*1 GiB.*1 GiB" <<<"$listed" || fail "it does not list the server: $listed"
said=$("$example" --cloud demo --server tour)
echo "$said"
grep -q "all that was made is deleted again" <<<"$said" || fail "it did not come to its end"
grep -q "without  one instant of all volumes" <<<"$said" || fail "it does not say what is not held"
after=$(hand '{"do": "inventory"}')
[ "$before" = "$after" ] || fail "the cloud was $before and is $after"
