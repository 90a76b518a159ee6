#!/usr/bin/env bash
# test.sh - all tests that need a real cloud: starts it where it is not up, and ends it if it did.
# As root, on Debian 12. OSLAB_DIR says where its state is kept between runs (see up.sh).
# STILLPOINT_OPENSTACK_EXAMPLE names the example's binary, which then is tried as well.
set -euo pipefail
cd "$(dirname "$0")"
export OSLAB_DIR=${OSLAB_DIR:-/var/tmp/oslab}
# Cargo may need a proxy; the cloud is here.
export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost
is_up() { # what is recorded last, and is the same process as then
    local pid started
    { read -r pid started <"$OSLAB_DIR/pid/nova-compute.pid"; } 2>/dev/null || return 1
    [ "$(awk '{sub(/.*\) /,""); print $20}' "/proc/$pid/stat" 2>/dev/null)" = "$started" ]
}
is_up || trap './down.sh' EXIT
./up.sh
# With the features of the whole workspace, as its other tests: nothing is built anew for these.
# Most of their time they wait for the cloud, so several run at once.
STILLPOINT_OPENSTACK_LAB=$OSLAB_DIR cargo test --workspace --all-features --test cloud \
    -- --ignored --nocapture --test-threads=3 "$@"
[ -z "${STILLPOINT_OPENSTACK_EXAMPLE:-}" ] || ./tour.sh "$STILLPOINT_OPENSTACK_EXAMPLE"
