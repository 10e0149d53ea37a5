#!/usr/bin/env bash
# start_ceph.sh DIR PORT MONITOR_PORT: a Ceph of one monitor, one OSD that keeps all in memory, and a RADOS gateway, which speaks S3 on PORT
# of 127.0.0.1 to TEST_S3_ACCESS_KEY. They are gone when the gateway is, which this process becomes.
set -euo pipefail
dir=$1 port=$2 monitor_port=$3
export CEPH_CONF=$dir/ceph.conf

fsid=$(cat /proc/sys/kernel/random/uuid)
mkdir -p "$dir/osd"
cat >"$CEPH_CONF" <<CONF
[global]
fsid = $fsid
mon_host = [v2:127.0.0.1:$monitor_port]
public_addr = 127.0.0.1
ms_bind_ipv6 = false
keyring = $dir/keyring
run_dir = $dir
admin_socket = $dir/\$name.\$pid.asok
log_file = $dir/\$name.log
crash_dir = $dir
mon_data = $dir/mon
mon_data_avail_crit = 0
mon_allow_pool_size_one = true
osd_data = $dir/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
rgw_data = $dir/rgw
rgw_trust_forwarded_https = true
rgw_frontends = beast endpoint=127.0.0.1:$port
CONF

keys() { ceph-authtool "$dir/keyring" --gen-key "$@"; }
keys --create-keyring --name mon. --cap mon 'allow *'
keys --name client.admin --cap mon 'allow *' --cap osd 'allow *'
keys --name osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$monitor_port]" "$dir/monmap" >/dev/null
ceph-mon --id a --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring"
setpriv --pdeathsig KILL ceph-mon --id a --foreground &
uuid=$(cat /proc/sys/kernel/random/uuid)
id=$(timeout 60 ceph osd new "$uuid")
ceph-osd --id "$id" --osd-uuid "$uuid" --mkfs
setpriv --pdeathsig KILL ceph-osd --id "$id" --foreground &
timeout 60 radosgw-admin user create --uid=tests --display-name=tests \
  --access-key="$TEST_S3_ACCESS_KEY" --secret-key="$TEST_S3_SECRET_KEY" >/dev/null
exec radosgw --foreground
