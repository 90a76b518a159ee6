#!/usr/bin/env bash
# up.sh - run a small but real OpenStack (Zed) as plain processes.
#
# Purpose: give the tests of an OpenStack client library something real to
# talk to.  Every API below is the upstream service, installed from Debian 12's
# own packages; nothing is mocked:
#
#   keystone  (uwsgi)          passwords, fernet tokens, application credentials
#   glance    (file store)     image upload / download / properties
#   placement (uwsgi)
#   cinder    api, scheduler, volume (upstream NFS driver over a loop mount)
#   neutron   server only, ML2 without agents (nova insists on the endpoint)
#   nova      api, conductor, scheduler, compute (libvirt+qemu, or fake driver)
#   mariadb, rabbitmq          private instances, data below $OSLAB_DIR
#
# No systemd, no /etc changes, no debconf questions, no system users: only the
# python3-* library packages are installed and each service is started from its
# Python entry point with a configuration rendered below $OSLAB_DIR.
# Everything listens on 127.0.0.1 (or on UNIX sockets) and nowhere else.
#
# Usage:   up.sh              start (idempotent); prints the path of
#                             clouds.yaml as the last line of stdout
#          up.sh --packages   only install what it needs
#          down.sh            stop;  down.sh --purge  wipe
#
# Environment:
#   OSLAB_DIR        state directory            (default /var/tmp/oslab)
#   OSLAB_PORT_BASE  first of ten TCP ports     (default 18700)
#   OSLAB_VIRT       libvirt | fake             (default libvirt)
#   OSLAB_VIRT_TYPE  kvm | qemu                 (default: kvm when it works)
#   OSLAB_SKIP_APT   1 = never call apt-get
#   OSLAB_TOKEN_TTL  keystone token life, seconds (default 3600)
#
# Needs: root, Debian 12, about 2.5 GB RAM and 1.5 GB of disk.
# Exit status: 0 ready, 1 failed (the log that says why is named on stderr).

set -Eeuo pipefail

DIR=${OSLAB_DIR:-/var/tmp/oslab}
BASE=${OSLAB_PORT_BASE:-18700}
VIRT=${OSLAB_VIRT:-libvirt}
TTL=${OSLAB_TOKEN_TTL:-3600}
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

P_KEYSTONE=$BASE P_GLANCE=$((BASE+1)) P_CINDER=$((BASE+2)) P_NOVA=$((BASE+3))
P_PLACEMENT=$((BASE+4)) P_NEUTRON=$((BASE+5)) P_AMQP=$((BASE+6))
P_EPMD=$((BASE+7)) P_DIST=$((BASE+8))
IP=127.0.0.1
PW=oslab                       # every password here; loopback-only test cloud
PY=/usr/bin/python3            # Debian's interpreter, whatever PATH says

say()  { printf '[oslab %4ss] %s\n' "$SECONDS" "$*" >&2; }
die()  { say "FAILED: $*"; exit 1; }
trap 'die "line $LINENO: ${BASH_COMMAND:0:80}"' ERR

[ "$(id -u)" = 0 ] || die "must run as root"

# A clean environment for every child: no proxies, no OS_*, no foreign Python.
while IFS= read -r v; do unset "$v"; done < <(env | sed -nE 's/^((OS_|PYTHON|[a-z]+_proxy|[A-Z]+_PROXY|PYENV_)[A-Za-z_]*)=.*/\1/p')
export PATH=$DIR/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=$DIR/home
mkdir -p "$DIR"/{bin,etc,home,log,pid,run,stamp,lock,cinder,glance,nova,nfs}

# ---------------------------------------------------------------- packages --
PKGS=(python3-keystone python3-glance python3-cinder python3-nova
      python3-placement python3-neutron python3-openstackclient python3-pymysql
      rabbitmq-server mariadb-server uwsgi-core uwsgi-plugin-python3 qemu-utils)
[ "$VIRT" = libvirt ] && PKGS+=(libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients
      python3-libvirt qemu-system-x86)

APT_OPTIONS=(-o DPkg::Lock::Timeout=900 -o Dpkg::Use-Pty=0)
# Its archives wait in our own folder: others may clear /tmp meanwhile.
apt() { mkdir -p "$DIR/tmp"; TMPDIR="$DIR/tmp" DEBIAN_FRONTEND=noninteractive apt-get "${APT_OPTIONS[@]}" "$@" >>"$DIR/log/apt.log" 2>&1; }
install_packages() {
  local p missing=()
  for p in "${PKGS[@]}"; do
    dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
  done
  [ ${#missing[@]} = 0 ] && return
  [ "${OSLAB_SKIP_APT:-0}" = 1 ] && die "missing packages: ${missing[*]}"
  say "installing ${missing[*]}"
  # Refuse service starts in maintainer scripts while we install.
  local made=
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; made=1
  fi
  dpkg --configure -a >>"$DIR/log/apt.log" 2>&1 || true # what an interrupted run left
  apt update || true
  apt -y --no-install-recommends --fix-broken install || true
  local rest=() qemu=()
  for p in "${missing[@]}"; do case $p in qemu-*) qemu+=("$p");; *) rest+=("$p");; esac; done
  # Where qemu-utils already comes from Debian's backports, the other qemu
  # packages must too: their versions have to match.
  if [ ${#qemu[@]} -gt 0 ]; then
    local from=()
    if dpkg-query -W -f='${Version}' qemu-utils 2>/dev/null | grep -q bpo; then with_backports; from=(-t "$SUITE-backports"); fi
    apt "${from[@]}" -y --no-install-recommends install "${qemu[@]}" || die "apt-get, see $DIR/log/apt.log"
  fi
  [ ${#rest[@]} = 0 ] || apt -y --no-install-recommends install "${rest[@]}" || die "apt-get, see $DIR/log/apt.log"
  [ -z "$made" ] || rm -f /usr/sbin/policy-rc.d
}
with_backports() { # let apt see the backports suite, for this run only, on the mirror this box already uses
  local uri
  read -r uri SUITE < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | awk '$2 !~ /-/ && $1 ~ /debian/ {print; exit}')
  mkdir -p "$DIR/apt"; cp -a /etc/apt/sources.list.d/. "$DIR/apt/"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $SUITE-backports main" >"$DIR/apt/backports.list"
  APT_OPTIONS+=(-o "Dir::Etc::SourceParts=$DIR/apt")
  apt update || true
}

# --------------------------------------------------------------- processes --
started() { awk '{sub(/.*\) /,""); print $20}' "/proc/$1/stat" 2>/dev/null; } # PID: start time
alive() { # NAME: is the process recorded under that name alive, and the same one?
  local pid t; { read -r pid t <"$DIR/pid/$1.pid"; } 2>/dev/null || return 1
  [ -n "$t" ] && [ "$(started "$pid")" = "$t" ]
}
spawn() { # NAME CMD...: start detached in its own session, log to a file, record pid and start time
  local name=$1; shift
  alive "$name" && return
  setsid nohup "$@" >>"$DIR/log/$name.log" 2>&1 </dev/null &
  echo "$! $(started $!)" >"$DIR/pid/$name.pid"
}
wait_for() { # NAME SECONDS CMD...: poll until CMD succeeds or NAME dies
  local name=$1 limit=$((SECONDS+$2)); shift 2
  until "$@" >/dev/null 2>&1; do
    alive "$name" || die "$name died; see $DIR/log/$name.log"
    [ $SECONDS -lt $limit ] || die "$name not ready in time; see $DIR/log/$name.log"
    sleep 0.2
  done
}
http_up() { # PORT PATH: does anything answer HTTP there (any status)?
  "$PY" - "$1" "$2" <<'PY'
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
c.request("GET", sys.argv[2]); sys.exit(0 if c.getresponse().status < 500 else 1)
PY
}
as_written() { # FUNCTION: its name and a digest of its text: a stamp that a change of it outdates
  echo "$1-$(declare -f "$1" | md5sum | cut -c1-8)"
}
once() { # STAMP CMD...: run once per state directory
  local stamp=$DIR/stamp/$1; shift
  [ -e "$stamp" ] && return
  "$@"; : >"$stamp"
}
# Run a console entry point of an installed distribution ("nova-compute" ...).
# The python3-* packages carry the code but not the /usr/bin scripts.
svc() { echo "$PY $DIR/bin/run-entry"; }

# ------------------------------------------------------------ configuration --
render() {
  cat >"$DIR/bin/run-entry" <<'PY'
# run-entry NAME ARGS...: run a console_scripts entry point by its name.
import sys
from importlib.metadata import entry_points
name = sys.argv[1]
sys.argv = [name] + sys.argv[2:]
found = [e for e in entry_points(group="console_scripts") if e.name == name]
main = found[0].load()
if name == "neutron-server":
    # With no L3 plugin and no query made yet, GET /v2.0/ports of Zed fails on
    # backrefs of Port that SQLAlchemy has not built so far.  Build them now.
    from neutron.db.models import port_forwarding  # noqa: F401
    from neutron.plugins.ml2 import models  # noqa: F401
    import sqlalchemy.orm
    sqlalchemy.orm.configure_mappers()
if name == "cinder-volume":
    # Debian's Zed refuses a volume from any but the oldest NFS snapshot: the
    # CVE-2024-32498 check rejects its own qcow2 chain.  Later upstream releases
    # accept backing files there, and so does this lab.
    import functools
    from cinder.image import image_utils
    image_utils.qemu_img_info = functools.partial(
        image_utils.qemu_img_info, allow_qcow2_backing_file=True)
    # Its NFS driver leaves reverting to the generic way, which writes over the top of
    # the qcow2 chain and so destroys the snapshot that it reverts to.  Cinder's own
    # way for such drivers keeps the chain: it only has to be chosen.
    from cinder import objects
    objects.register_all()
    from cinder.volume.drivers import nfs, remotefs
    nfs.NfsDriver._revert_to_snapshot = remotefs.RevertToSnapshotMixin._revert_to_snapshot
sys.exit(main())
PY
  # The services run as root, so the privilege helpers have nothing to do.
  printf '#!/bin/sh\nexec "$@"\n' >"$DIR/bin/sudo"
  # The "NFS share" is a local file system, mounted by mount_share() before
  # cinder and nova start.  Both find it "already mounted" and never mount; the
  # driver only checks that the tool exists, and nova's umount after the last
  # detach must leave the mount alone.
  printf '#!/bin/sh\necho "mount.nfs: not used here" >&2\nexit 1\n' >"$DIR/bin/mount.nfs"
  printf '#!/bin/sh\ncase "$1" in "%s"/*) exit 0;; esac\nexec /bin/umount "$@"\n' "$DIR/nfs" >"$DIR/bin/umount"
  chmod +x "$DIR/bin/"*

  local k=http://$IP:$P_KEYSTONE/v3
  local mq="transport_url = rabbit://guest:guest@$IP:$P_AMQP/"
  db() { echo "connection = mysql+pymysql://oslab:$PW@localhost/$1?unix_socket=$DIR/run/mysql.sock"; }
  auth() { # a [section] with the service user's credentials
    cat <<INI
[$1]
auth_type = password
auth_url = $k
username = svc
password = $PW
user_domain_name = Default
project_name = service
project_domain_name = Default
region_name = RegionOne
INI
  }
  common() { # what all services share; $1 = service name
    cat <<INI
[oslo_concurrency]
lock_path = $DIR/lock
[oslo_messaging_notifications]
driver = noop
[oslo_policy]
policy_dirs = $DIR/etc/$1-policy.d
$(auth keystone_authtoken)
www_authenticate_uri = $k
service_token_roles = service
service_token_roles_required = true
[privsep_osbrick]
helper_command = /usr/bin/privsep-helper
[database]
$(db "$1")
max_pool_size = 5
INI
  }
  local s; for s in keystone glance cinder nova placement neutron; do mkdir -p "$DIR/etc/$s" "$DIR/etc/$s-policy.d"; done

  cat >"$DIR/etc/keystone/keystone.conf" <<INI
[DEFAULT]
public_endpoint = http://$IP:$P_KEYSTONE
[database]
$(db keystone)
[token]
provider = fernet
expiration = $TTL
[fernet_tokens]
key_repository = $DIR/etc/keystone/fernet
[fernet_receipts]
key_repository = $DIR/etc/keystone/fernet
[credential]
key_repository = $DIR/etc/keystone/credential
[identity]
password_hash_rounds = 4
[cache]
# Every call of every service asks keystone about its token: two thirds of its work.
enabled = true
backend = oslo_cache.dict
[oslo_policy]
policy_dirs = $DIR/etc/keystone-policy.d
INI

  cat >"$DIR/etc/glance/glance-api.conf" <<INI
[DEFAULT]
bind_host = $IP
bind_port = $P_GLANCE
workers = 0
enabled_import_methods = [glance-direct]
node_staging_uri = file://$DIR/glance/staging
[paste_deploy]
flavor = keystone
config_file = $DIR/etc/glance/paste.ini
[glance_store]
stores = file
default_store = file
filesystem_store_datadir = $DIR/glance/images
$(common glance)
INI
  cat >"$DIR/etc/glance/paste.ini" <<INI
[pipeline:glance-api-keystone]
pipeline = versionnegotiation authtoken context root
[composite:root]
paste.composite_factory = glance.api:root_app_factory
/: versions
/v2: v2
[app:versions]
paste.app_factory = glance.api.versions:create_resource
[app:v2]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
INI
  mkdir -p "$DIR/glance/staging" "$DIR/glance/images"

  cat >"$DIR/etc/placement/placement.conf" <<INI
[api]
auth_strategy = keystone
[placement_database]
$(db placement)
$(common placement)
INI

  cat >"$DIR/etc/cinder/cinder.conf" <<INI
[DEFAULT]
$mq
auth_strategy = keystone
my_ip = $IP
host = oslab
state_path = $DIR/cinder
image_conversion_dir = $DIR/cinder/conversion
api_paste_config = $DIR/etc/cinder/paste.ini
resource_query_filters_file = $DIR/etc/cinder/resource_filters.json
osapi_volume_listen = $IP
osapi_volume_listen_port = $P_CINDER
osapi_volume_workers = 1
glance_api_servers = http://$IP:$P_GLANCE
enabled_backends = files
rootwrap_config = /dev/null
report_interval = 5
[files]
# The upstream NFS driver, with a local ext4 mounted where it would mount NFS:
# qcow2 files, qemu-img snapshots, and libvirt block jobs for attached volumes.
volume_driver = cinder.volume.drivers.nfs.NfsDriver
volume_backend_name = files
nfs_shares_config = $DIR/etc/cinder/shares
nfs_mount_point_base = $DIR/nfs
nfs_snapshot_support = true
nfs_qcow2_volumes = true
nas_secure_file_operations = false
nas_secure_file_permissions = false
[coordination]
backend_url = file://$DIR/cinder/coordination
$(auth nova)
$(auth service_user)
send_service_user_token = true
$(common cinder)
INI
  echo "oslab:/share" >"$DIR/etc/cinder/shares"
  # The list filters a user may pass are a deployer's choice; these are the
  # upstream defaults for the resources that matter here.
  cat >"$DIR/etc/cinder/resource_filters.json" <<INI
{"volume": ["name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size", "created_at", "updated_at"],
 "backup": ["name", "status", "volume_id"],
 "snapshot": ["name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota", "created_at", "updated_at"],
 "group": [], "group_snapshot": ["status", "group_id"], "attachment": ["volume_id"], "message": [], "pool": ["name", "volume_type"], "volume_type": ["is_public"]}
INI
  cat >"$DIR/etc/cinder/paste.ini" <<INI
[composite:osapi_volume]
use = call:cinder.api:root_app_factory
/: versions
/v3: v3
[composite:v3]
use = call:cinder.api.middleware.auth:pipeline_factory
noauth = request_id faultwrap sizelimit noauth app
keystone = request_id faultwrap sizelimit authtoken context app
[pipeline:versions]
pipeline = request_id faultwrap versionsapp
[filter:request_id]
paste.filter_factory = oslo_middleware.request_id:RequestId.factory
[filter:faultwrap]
paste.filter_factory = cinder.api.middleware.fault:FaultWrapper.factory
[filter:sizelimit]
paste.filter_factory = oslo_middleware.sizelimit:RequestBodySizeLimiter.factory
[filter:noauth]
paste.filter_factory = cinder.api.middleware.auth:NoAuthMiddleware.factory
[filter:context]
paste.filter_factory = cinder.api.middleware.auth:CinderKeystoneContext.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[app:app]
paste.app_factory = cinder.api.v3.router:APIRouter.factory
[app:versionsapp]
paste.app_factory = cinder.api.versions:Versions.factory
INI

  cat >"$DIR/etc/neutron/neutron.conf" <<INI
[DEFAULT]
$mq
bind_host = $IP
bind_port = $P_NEUTRON
auth_strategy = keystone
api_paste_config = $DIR/etc/neutron/paste.ini
core_plugin = ml2
service_plugins =
api_workers = 1
rpc_workers = 1
rpc_state_report_workers = 0
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
state_path = $DIR/run
[ml2]
type_drivers = local
tenant_network_types = local
mechanism_drivers =
extension_drivers =
$(common neutron)
INI
  cat >"$DIR/etc/neutron/paste.ini" <<INI
[composite:neutron]
use = egg:Paste#urlmap
/: versions
/v2.0: v2
[composite:v2]
use = call:neutron.auth:pipeline_factory
noauth = request_id catch_errors extensions app
keystone = request_id catch_errors authtoken context extensions app
[composite:versions]
use = call:neutron.auth:pipeline_factory
noauth = versionsapp
keystone = versionsapp
[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
[filter:catch_errors]
paste.filter_factory = oslo_middleware:CatchErrors.factory
[filter:context]
paste.filter_factory = neutron.auth:NeutronKeystoneContext.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[filter:extensions]
paste.filter_factory = neutron.api.extensions:plugin_aware_extension_middleware_factory
[app:versionsapp]
paste.app_factory = neutron.pecan_wsgi.app:versions_factory
[app:app]
paste.app_factory = neutron.api.v2.router:APIRouter.factory
INI

  local driver=fake.FakeDriver
  [ "$VIRT" = libvirt ] && driver=libvirt.LibvirtDriver
  cat >"$DIR/etc/nova/nova.conf" <<INI
[DEFAULT]
$mq
my_ip = $IP
host = oslab
state_path = $DIR/nova
instances_path = $DIR/nova/instances
compute_driver = $driver
enabled_apis = osapi_compute
osapi_compute_listen = $IP
osapi_compute_listen_port = $P_NOVA
osapi_compute_workers = 1
rootwrap_config = /dev/null
report_interval = 5
service_down_time = 60
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
# No guest here listens to ACPI: waiting a minute for it to stop would only cost time.
shutdown_timeout = 1
reserved_host_memory_mb = 0
ram_allocation_ratio = 8.0
cpu_allocation_ratio = 64.0
disk_allocation_ratio = 8.0
[wsgi]
api_paste_config = $DIR/etc/nova/paste.ini
[api_database]
$(db nova_api)
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 3
[vnc]
enabled = false
[glance]
api_servers = http://$IP:$P_GLANCE
[libvirt]
virt_type = $VIRT_TYPE
cpu_mode = none
connection_uri = qemu+unix:///system?socket=$DIR/run/libvirt-sock
nfs_mount_point_base = $DIR/nfs
swtpm_enabled = false
[workarounds]
skip_cpu_compare_on_dest = true
[privsep]
helper_command = /usr/bin/privsep-helper
[nova_sys_admin]
helper_command = /usr/bin/privsep-helper
[vif_plug_linux_bridge_privileged]
helper_command = /usr/bin/privsep-helper
[vif_plug_ovs_privileged]
helper_command = /usr/bin/privsep-helper
$(auth cinder)
os_region_name = RegionOne
$(auth placement)
$(auth neutron)
$(auth service_user)
send_service_user_token = true
$(common nova)
INI
  cat >"$DIR/etc/nova/paste.ini" <<INI
[composite:osapi_compute]
use = call:nova.api.openstack.urlmap:urlmap_factory
/: versions
/v2.1: v21
/v2.1/+: v21
[composite:v21]
use = call:nova.api.auth:pipeline_factory_v21
keystone = compute_req_id faultwrap request_log sizelimit authtoken context app
noauth2 = compute_req_id faultwrap request_log sizelimit noauth2 app
[pipeline:versions]
pipeline = faultwrap versionsapp
[filter:request_log]
paste.filter_factory = nova.api.openstack.requestlog:RequestLog.factory
[filter:compute_req_id]
paste.filter_factory = nova.api.compute_req_id:ComputeReqIdMiddleware.factory
[filter:faultwrap]
paste.filter_factory = nova.api.openstack:FaultWrapper.factory
[filter:noauth2]
paste.filter_factory = nova.api.openstack.auth:NoAuthMiddleware.factory
[filter:sizelimit]
paste.filter_factory = oslo_middleware:RequestBodySizeLimiter.factory
[filter:context]
paste.filter_factory = nova.api.auth:NovaKeystoneContext.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[app:app]
paste.app_factory = nova.api.openstack.compute:APIRouterV21.factory
[app:versionsapp]
paste.app_factory = nova.api.openstack.compute.versions:Versions.factory
INI
  # nova-compute must not see the databases (it would try, and be refused).
  sed '/^\[\(api_\)\?database\]/,/^max_pool_size\|^\[conductor/{/^\[conductor/!d}' \
    "$DIR/etc/nova/nova.conf" >"$DIR/etc/nova/nova-compute.conf"
  mkdir -p "$DIR/nova/instances"
}

# ------------------------------------------------------- database and queue --
mysql_() { mariadb --no-defaults --socket="$DIR/run/mysql.sock" -u root "$@"; }

start_mariadb() {
  if [ ! -d "$DIR/mysql/mysql" ]; then
    mariadb-install-db --no-defaults --user=root --datadir="$DIR/mysql" \
      --auth-root-authentication-method=normal --skip-test-db >"$DIR/log/mysql-install.log" 2>&1
  fi
  spawn mariadb mariadbd --no-defaults --user=root --datadir="$DIR/mysql" \
    --socket="$DIR/run/mysql.sock" --skip-networking --pid-file="$DIR/run/mysql.pid" \
    --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --sync-binlog=0 \
    --innodb-buffer-pool-size=128M --max-connections=300 --performance-schema=0
}
create_databases() {
  local d; { for d in keystone glance cinder placement neutron nova nova_api nova_cell0; do
    echo "CREATE DATABASE IF NOT EXISTS $d CHARACTER SET utf8mb3;"; done
    echo "CREATE USER IF NOT EXISTS oslab@localhost IDENTIFIED BY '$PW'; GRANT ALL ON *.* TO oslab@localhost;"
  } | mysql_
}
start_rabbitmq() {
  mkdir -p "$DIR/rabbit"
  echo "listeners.tcp.1 = $IP:$P_AMQP" >"$DIR/etc/rabbitmq.conf"
  echo '[].' >"$DIR/etc/rabbitmq-advanced.config"
  : >"$DIR/etc/rabbitmq-plugins"
  spawn epmd env ERL_EPMD_PORT=$P_EPMD epmd -address $IP -port $P_EPMD
  spawn rabbitmq env HOME="$DIR/rabbit" ERL_EPMD_PORT=$P_EPMD ERL_EPMD_ADDRESS=$IP \
    RABBITMQ_NODENAME="oslab$BASE@localhost" RABBITMQ_DIST_PORT=$P_DIST \
    RABBITMQ_CONFIG_FILE="$DIR/etc/rabbitmq.conf" RABBITMQ_ADVANCED_CONFIG_FILE="$DIR/etc/rabbitmq-advanced.config" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$DIR/etc/rabbitmq-plugins" RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_MNESIA_BASE="$DIR/rabbit/mnesia" RABBITMQ_LOG_BASE="$DIR/log" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none' \
    /usr/lib/rabbitmq/bin/rabbitmq-server
}
tcp_up() { (exec 3<>"/dev/tcp/$IP/$1") 2>/dev/null; }

# ------------------------------------------------------------- schema setup --
sync_log() { local n=$1; shift; say "schema: $n"; "$@" >>"$DIR/log/init-$n.log" 2>&1 || die "schema of $n, see $DIR/log/init-$n.log"; }
init_keystone() {
  local m="$(svc) keystone-manage --config-file $DIR/etc/keystone/keystone.conf"
  $m db_sync &&
  $m fernet_setup --keystone-user root --keystone-group root &&
  $m credential_setup --keystone-user root --keystone-group root &&
  $m bootstrap --bootstrap-password $PW --bootstrap-region-id RegionOne \
     --bootstrap-public-url http://$IP:$P_KEYSTONE/v3 --bootstrap-internal-url http://$IP:$P_KEYSTONE/v3 \
     --bootstrap-admin-url http://$IP:$P_KEYSTONE/v3
}
init_glance()    { $(svc) glance-manage --config-file "$DIR/etc/glance/glance-api.conf" db_sync; }
init_cinder()    { $(svc) cinder-manage --config-file "$DIR/etc/cinder/cinder.conf" db sync; }
init_placement() { OS_PLACEMENT_CONFIG_DIR=$DIR/etc/placement $(svc) placement-manage --config-file "$DIR/etc/placement/placement.conf" db sync; }
init_neutron()   { $(svc) neutron-db-manage --config-file "$DIR/etc/neutron/neutron.conf" upgrade heads; }
init_nova() {
  local m="$(svc) nova-manage --config-file $DIR/etc/nova/nova.conf"
  local sock="unix_socket=$DIR/run/mysql.sock"
  $m api_db sync &&
  $m cell_v2 map_cell0 --database_connection "mysql+pymysql://oslab:$PW@localhost/nova_cell0?$sock" &&
  $m db sync &&
  $m cell_v2 create_cell --name cell1
}

# ------------------------------------------------------------------ catalog --
catalog() { # users, projects, endpoints, flavors, application credential
  OSLAB_DIR=$DIR PW=$PW IP=$IP P_GLANCE=$P_GLANCE P_CINDER=$P_CINDER P_NOVA=$P_NOVA \
  P_PLACEMENT=$P_PLACEMENT P_NEUTRON=$P_NEUTRON P_KEYSTONE=$P_KEYSTONE "$PY" - <<'PY'
import os, json, openstack
e = os.environ
url = lambda p: f"http://{e['IP']}:{e[p]}"
auth = dict(auth_url=url("P_KEYSTONE") + "/v3", user_domain_name="Default", project_domain_name="Default", password=e["PW"])
admin = openstack.connect(auth=dict(auth, username="admin", project_name="admin"), region_name="RegionOne", load_yaml_config=False)
k = admin.identity
def ensure(find, create, name, **kw):
    return find(name, ignore_missing=True) or create(name=name, **kw)
service = ensure(k.find_project, k.create_project, "service", domain_id="default")
demo = ensure(k.find_project, k.create_project, "demo", domain_id="default")
svc = ensure(k.find_user, k.create_user, "svc", domain_id="default", password=e["PW"])
usr = ensure(k.find_user, k.create_user, "demo", domain_id="default", password=e["PW"], default_project_id=demo.id)
role = lambda n: ensure(k.find_role, k.create_role, n)
for n in ("admin", "service"): k.assign_project_role_to_user(service, svc, role(n))
for n in ("member", "reader"): k.assign_project_role_to_user(demo, usr, role(n))
# Tests that run at once have a project each.
tests = [f"tests-{number}" for number in range(1, 6)]
for name in tests:
    own = ensure(k.find_project, k.create_project, name, domain_id="default")
    who = ensure(k.find_user, k.create_user, name, domain_id="default", password=e["PW"], default_project_id=own.id)
    for n in ("member", "reader"): k.assign_project_role_to_user(own, who, role(n))
have = {s.type for s in k.services()}
for typ, name, u in (("image", "glance", url("P_GLANCE")), ("volumev3", "cinderv3", url("P_CINDER") + "/v3/%(project_id)s"),
                     ("block-storage", "cinder", url("P_CINDER") + "/v3/%(project_id)s"),
                     ("compute", "nova", url("P_NOVA") + "/v2.1"), ("placement", "placement", url("P_PLACEMENT")),
                     ("network", "neutron", url("P_NEUTRON"))):
    if typ in have: continue
    s = k.create_service(type=typ, name=name)
    for i in ("public", "internal", "admin"):
        k.create_endpoint(service_id=s.id, interface=i, url=u, region_id="RegionOne")
# An application credential of the demo user, roles "member" and "reader".
d = openstack.connect(auth=dict(auth, username="demo", project_name="demo"), region_name="RegionOne", load_yaml_config=False)
path = os.path.join(e["OSLAB_DIR"], "run", "appcred.json")
if not os.path.exists(path):
    for old in d.identity.application_credentials(d.current_user_id):
        if old.name == "oslab": d.identity.delete_application_credential(d.current_user_id, old)
    ac = d.identity.create_application_credential(d.current_user_id, "oslab", secret=e["PW"] + "-secret")
    json.dump({"id": ac.id, "secret": e["PW"] + "-secret"}, open(path, "w"))
ac = json.load(open(path))
block = lambda user, project: f"""  {user}:
    auth_type: password
    auth:
      auth_url: {auth['auth_url']}
      username: {user}
      password: {e['PW']}
      project_name: {project}
      user_domain_name: Default
      project_domain_name: Default
    region_name: RegionOne
    identity_api_version: 3
"""
open(os.path.join(e["OSLAB_DIR"], "clouds.yaml"), "w").write("clouds:\n" + block("admin", "admin") + block("demo", "demo") + "".join(block(name, name) for name in tests) + f"""  demo-appcred:
    auth_type: v3applicationcredential
    auth:
      auth_url: {auth['auth_url']}
      application_credential_id: {ac['id']}
      application_credential_secret: {ac['secret']}
    region_name: RegionOne
    identity_api_version: 3
""")
PY
}
flavors() {
  OS_CLIENT_CONFIG_FILE=$DIR/clouds.yaml "$PY" - <<'PY'
import openstack
c = openstack.connect(cloud="admin")
have = {f.name for f in c.compute.flavors()}
for n, ram, disk, eph in (("m1.nano", 64, 1, 0), ("m1.eph", 64, 1, 1), ("m1.zero", 64, 0, 0)):
    if n not in have: c.compute.create_flavor(name=n, ram=ram, vcpus=1, disk=disk, ephemeral=eph)
PY
}
quotas() { # room for tests that take many volumes at once
  OS_CLIENT_CONFIG_FILE=$DIR/clouds.yaml "$PY" - <<'PY'
import openstack
c = openstack.connect(cloud="admin")
most = {"volumes": 100, "snapshots": 100}
for project in c.identity.projects():
    if project.name == "demo" or project.name.startswith("tests-"):
        c.block_storage.put(f"/os-quota-sets/{project.id}", json={"quota_set": most}).raise_for_status()
        c.compute.put(f"/os-quota-sets/{project.id}", json={"quota_set": {"instances": 50, "cores": 100}}).raise_for_status()
PY
}
compute_ready() {
  OS_CLIENT_CONFIG_FILE=$DIR/clouds.yaml "$PY" - <<'PY'
import openstack, sys, time
c = openstack.connect(cloud="admin")
for _ in range(150):
    up = {s.binary for s in c.compute.services() if s.state == "up"}
    cin = {s["binary"] for s in c.block_storage.get("/os-services").json().get("services", []) if s["state"] == "up"}
    try: hyp = len(list(c.compute.hypervisors()))
    except Exception: hyp = 0
    # A volume that is asked for before the scheduler has heard of the backend ends in error.
    pools = c.block_storage.get("/scheduler-stats/get_pools").json().get("pools", [])
    if {"nova-compute", "nova-scheduler", "nova-conductor"} <= up and {"cinder-volume", "cinder-scheduler"} <= cin and hyp and pools: sys.exit(0)
    time.sleep(0.4)
print("services up:", up, cin, "hypervisors:", hyp, "pools:", pools); sys.exit(1)
PY
}

# ---------------------------------------------------------------------- run --
uwsgi_() { # NAME PORT MODULE
  spawn "$1" env OS_KEYSTONE_CONFIG_DIR="$DIR/etc/keystone" OS_PLACEMENT_CONFIG_DIR="$DIR/etc/placement" \
    uwsgi --plugins-dir /usr/lib/uwsgi/plugins --plugin python3 --http-socket $IP:$2 \
    --module "$3" --threads 4 --die-on-term \
    --buffer-size 65535 --post-buffering 65536 --socket-timeout 120 \
    --listen 100 --add-header 'Connection: close' --disable-logging --need-app
}
mount_share() {
  # md5("oslab:/share") is the mount point name that os-brick and nova compute.
  # It has to be a file system of its own: nova asks os.path.ismount().
  local mp img=$DIR/share.img; mp=$DIR/nfs/$(printf %s oslab:/share | md5sum | cut -d' ' -f1)
  mkdir -p "$mp"
  grep -q " $mp " /proc/mounts && return
  if [ ! -e "$img" ]; then
    truncate -s 16G "$img"; mkfs.ext4 -q -F -m 0 -E lazy_itable_init=1,lazy_journal_init=1 "$img"
  fi
  mount -o loop,noatime "$img" "$mp"
}
start_libvirt() {
  alive libvirtd && return
  # A private libvirtd: its own mount namespace shows it its own /etc/libvirt,
  # /var/lib/libvirt, /var/cache/libvirt and /run/libvirt below $DIR, and user
  # and group files that know the (here: root-equal) account Debian's build of
  # libvirt looks up before it reads its configuration.
  local d
  for d in etc/libvirt var/lib/libvirt var/cache/libvirt run/libvirt; do mkdir -p "$DIR/libvirt/$d" "/$d"; done
  mkdir -p "$DIR/libvirt/etc/libvirt/nwfilter" "$DIR/libvirt/etc/libvirt/secrets"
  cat >"$DIR/libvirt/etc/libvirt/libvirtd.conf" <<INI
listen_tls = 0
listen_tcp = 0
unix_sock_dir = "$DIR/run"
auth_unix_rw = "none"
INI
  cat >"$DIR/libvirt/etc/libvirt/qemu.conf" <<INI
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
INI
  { cat /etc/passwd; echo 'libvirt-qemu:x:0:0::/var/lib/libvirt:/usr/sbin/nologin'; } >"$DIR/libvirt/passwd"
  { cat /etc/group; printf '%s:x:0:\n' libvirt-qemu libvirt; } >"$DIR/libvirt/group"
  rm -f "$DIR/run/libvirt-sock"
  spawn libvirtd unshare -m --propagation private sh -ec '
    for d in etc/libvirt var/lib/libvirt var/cache/libvirt run/libvirt; do
      mount --bind "$0/libvirt/$d" "/$d"; done
    for f in passwd group; do mount --bind "$0/libvirt/$f" "/etc/$f"; done
    exec libvirtd -f /etc/libvirt/libvirtd.conf -p "$0/run/libvirtd.pid"' "$DIR"
  wait_for libvirtd 30 virsh -c "qemu+unix:///system?socket=$DIR/run/libvirt-sock" version
}

install_packages
[ "${1:-}" = --packages ] && exit 0
VIRT_TYPE=${OSLAB_VIRT_TYPE:-}
if [ -z "$VIRT_TYPE" ]; then
  VIRT_TYPE=qemu
  # KVM may be present and yet not usable inside a VM: ask qemu itself.
  if [ "$VIRT" = libvirt ] && [ -w /dev/kvm ] && timeout 5 qemu-system-x86_64 -accel kvm -nodefaults \
       -display none -monitor stdio -S <<<quit >/dev/null 2>&1; then VIRT_TYPE=kvm; fi
fi
say "rendering configuration in $DIR (virt: $VIRT/$VIRT_TYPE)"
render
mount_share
start_rabbitmq
start_mariadb
wait_for mariadb 60 mysql_ -e 'select 1'
once databases create_databases

# Two chains at a time keep two cores busy; keystone first since it gates the rest.
once schema-keystone sync_log keystone init_keystone &  a=$!
( once schema-glance sync_log glance init_glance; once schema-placement sync_log placement init_placement
  once schema-cinder sync_log cinder init_cinder ) &    b=$!
wait $a
uwsgi_ keystone $P_KEYSTONE 'keystone.server.wsgi:initialize_public_application()'
( once schema-neutron sync_log neutron init_neutron ) & a=$!
wait $b
( once schema-nova sync_log nova init_nova ) & b=$!
wait_for rabbitmq 90 tcp_up $P_AMQP
wait_for keystone 60 http_up $P_KEYSTONE /v3
once "$(as_written catalog)" catalog
spawn glance-api       $(svc) glance-api       --config-file "$DIR/etc/glance/glance-api.conf"
spawn cinder-api       $(svc) cinder-api       --config-file "$DIR/etc/cinder/cinder.conf"
spawn cinder-scheduler $(svc) cinder-scheduler --config-file "$DIR/etc/cinder/cinder.conf"
spawn cinder-volume    $(svc) cinder-volume    --config-file "$DIR/etc/cinder/cinder.conf"
wait $a
spawn neutron-server   $(svc) neutron-server   --config-file "$DIR/etc/neutron/neutron.conf"
uwsgi_ placement $P_PLACEMENT 'placement.wsgi:init_application()'
[ "$VIRT" = libvirt ] && start_libvirt
wait $b
for s in api-os-compute conductor scheduler; do
  spawn nova-$s $(svc) nova-$s --config-file "$DIR/etc/nova/nova.conf"
done
spawn nova-compute $(svc) nova-compute --config-file "$DIR/etc/nova/nova-compute.conf"
wait_for glance-api     90 http_up $P_GLANCE /
wait_for cinder-api     90 http_up $P_CINDER /
wait_for placement      90 http_up $P_PLACEMENT /
wait_for neutron-server 90 http_up $P_NEUTRON /
wait_for nova-api-os-compute 90 http_up $P_NOVA /
once flavors flavors
once "$(as_written quotas)" quotas
compute_ready >"$DIR/log/ready.log" 2>&1 || die "services not up: $(cat "$DIR/log/ready.log")"
say "ready"
echo "$DIR/clouds.yaml"
