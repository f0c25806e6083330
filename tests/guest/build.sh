#!/usr/bin/env bash
# A Debian 12 machine with systemd, cgroup v2 and the container engines that people run, as an image for QEMU: into the
# folder GUEST the files disk.raw, vmlinuz, initrd and key. Needs root, debootstrap, e2fsprogs and openssh-client, and 6 GB.
#   usage: tests/guest/build.sh GUEST CHECKOUT      (the checkout says which libraries WattView needs)
set -euo pipefail
guest=${1:?a folder for the guest}; checkout=${2:?the checkout}
root=$guest/root
packages=(linux-image-cloud-amd64 systemd-sysv dbus dbus-user-session libpam-systemd udev openssh-server iproute2 kmod
  docker.io containerd runc podman crun uidmap slirp4netns fuse-overlayfs containernetworking-plugins iptables apparmor
  busybox-static python3-venv curl procps prometheus-node-exporter ffmpeg nginx-light libnginx-mod-rtmp)

mkdir -p "$guest"; rm -rf "$root" "$guest"/{disk.raw,done}
debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >"$guest/build.log" 2>&1

# Its packages come from where this machine's come from.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
rm -f "$root/etc/apt/sources.list"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/*proxy* /etc/resolv.conf; do
  if [[ -e $file ]]; then cp "$file" "$root$file"; fi
done
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"; chmod +x "$root/usr/sbin/policy-rc.d"
mount -t proc proc "$root/proc"; trap 'umount "$root/proc"' EXIT
chroot "$root" apt-get update -qq
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}" \
  >>"$guest/build.log" 2>&1
umount "$root/proc"; trap - EXIT
rm -rf "$root/usr/sbin/policy-rc.d" "$root"/var/cache/apt/archives/*.deb

# What WattView needs, but for itself: its own wheel comes with each session of tests.
python3 -m venv "$guest/venv"
"$guest/venv/bin/pip" wheel --quiet --disable-pip-version-check --wheel-dir "$root/wheels" "$checkout"
rm -f "$root"/wheels/wattview-*.whl
chroot "$root" sh -c 'python3 -m venv /opt/wattview && /opt/wattview/bin/pip install --quiet --no-index /wheels/*.whl'
rm -rf "$root/wheels" "$guest/venv"

# Root by a key of this guest alone, an address by DHCP, no service that nobody asked for, and one ordinary user.
rm -f "$guest/key" "$guest/key.pub"; ssh-keygen -q -t ed25519 -N '' -f "$guest/key"
install -D -m 600 "$guest/key.pub" "$root/root/.ssh/authorized_keys"
echo guest >"$root/etc/hostname"; printf '127.0.0.1 localhost guest\n' >"$root/etc/hosts"
printf '/dev/vda / ext4 defaults 0 1\n' >"$root/etc/fstab"
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/20-dhcp.network"
: >"$root/etc/machine-id"
chroot "$root" sh -c 'systemctl enable systemd-networkd ssh docker containerd
  systemctl disable nginx prometheus-node-exporter podman.socket podman-restart podman-auto-update.timer
  systemctl mask systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer e2scrub_reap
  useradd --create-home --add-subids-for-system --uid 1000 user || useradd --create-home --uid 1000 user
  grep -q ^user: /etc/subuid || { echo user:100000:65536 >>/etc/subuid; echo user:100000:65536 >>/etc/subgid; }' \
  >>"$guest/build.log" 2>&1
truncate -s 6G "$guest/disk.raw"; mkfs.ext4 -q -F -d "$root" "$guest/disk.raw"
cp "$root"/boot/vmlinuz-* "$guest/vmlinuz"; cp "$root"/boot/initrd.img-* "$guest/initrd"
rm -rf "$root"; touch "$guest/done"
