"""The node_exporter collectors and their settings."""

from __future__ import annotations

from typing import NamedTuple

from wattview.config.section import Section


class NodeCollector(NamedTuple):
    """One collector: node_exporter's name for it, its file and class in ``probes/node/``, and whether it is on by
    default."""

    name: str
    place: str
    default: bool = True


NODE_COLLECTOR_LIST: tuple[NodeCollector, ...] = (
    NodeCollector("arp", "arp.Arp"),
    NodeCollector("bcache", "bcache.Bcache"),
    NodeCollector("bcachefs", "bcachefs.collector"),
    NodeCollector("bonding", "bonding.collector"),
    NodeCollector("btrfs", "btrfs.Btrfs"),
    NodeCollector("buddyinfo", "buddyinfo.collector", default=False),
    NodeCollector("cgroups", "cgroups.collector", default=False),
    NodeCollector("conntrack", "conntrack.collector"),
    NodeCollector("cpu", "cpu.Cpu"),
    NodeCollector("cpu_vulnerabilities", "cpu_vulnerabilities.collector", default=False),
    NodeCollector("cpufreq", "cpufreq.Cpufreq"),
    NodeCollector("diskstats", "diskstats.Diskstats"),
    NodeCollector("dmi", "dmi.collector"),
    NodeCollector("dmmultipath", "dmmultipath.collector", default=False),
    NodeCollector("drm", "drm.collector", default=False),
    NodeCollector("edac", "edac.collector"),
    NodeCollector("entropy", "entropy.collector"),
    NodeCollector("ethtool", "ethtool.Ethtool", default=False),
    NodeCollector("fibrechannel", "fibrechannel.collector"),
    NodeCollector("filefd", "filefd.collector"),
    NodeCollector("filesystem", "filesystem.FilesystemCollector"),
    NodeCollector("hwmon", "hwmon.Hwmon"),
    NodeCollector("infiniband", "infiniband.collector"),
    NodeCollector("interrupts", "interrupts.Interrupts", default=False),
    NodeCollector("ipvs", "ipvs.collector"),
    NodeCollector("kernel_hung", "kernel_hung.collector"),
    NodeCollector("ksmd", "ksmd.collector", default=False),
    NodeCollector("lnstat", "lnstat.Lnstat", default=False),
    NodeCollector("loadavg", "loadavg.collector"),
    NodeCollector("logind", "logind.Logind", default=False),
    NodeCollector("mdadm", "mdadm.Mdadm"),
    NodeCollector("meminfo", "meminfo.Meminfo"),
    NodeCollector("meminfo_numa", "meminfo_numa.collector", default=False),
    NodeCollector("mountstats", "mountstats.collector", default=False),
    NodeCollector("netclass", "netclass.Netclass"),
    NodeCollector("netdev", "netdev.Netdev"),
    NodeCollector("netstat", "netstat.Netstat"),
    NodeCollector("network_route", "network_route.collector", default=False),
    NodeCollector("nfs", "nfs.collector"),
    NodeCollector("nfsd", "nfsd.collector"),
    NodeCollector("nvme", "nvme.collector"),
    NodeCollector("os", "os_release.OsRelease"),
    NodeCollector("pcidevice", "pcidevice.PciDevice", default=False),
    NodeCollector("perf", "perf.Perf", default=False),
    NodeCollector("powersupplyclass", "powersupplyclass.PowerSupplyClass"),
    NodeCollector("pressure", "pressure.collector"),
    NodeCollector("processes", "processes.Processes", default=False),
    NodeCollector("qdisc", "qdisc.Qdiscs", default=False),
    NodeCollector("rapl", "rapl.collector"),
    NodeCollector("schedstat", "schedstat.collector"),
    NodeCollector("selinux", "selinux.Selinux"),
    NodeCollector("slabinfo", "slabinfo.Slabinfo", default=False),
    NodeCollector("sockstat", "sockstat.collector"),
    NodeCollector("softirqs", "softirqs.collector", default=False),
    NodeCollector("softnet", "softnet.collector"),
    NodeCollector("stat", "stat.Stat"),
    NodeCollector("swap", "swap.collector", default=False),
    NodeCollector("sysctl", "sysctl.Sysctl", default=False),
    NodeCollector("systemd", "systemd.Systemd", default=False),
    NodeCollector("tapestats", "tapestats.Tapestats"),
    NodeCollector("tcpstat", "tcpstat.Tcpstat", default=False),
    NodeCollector("textfile", "textfile.Textfile"),
    NodeCollector("thermal_zone", "thermal_zone.collector"),
    NodeCollector("time", "time_clock.Time"),
    NodeCollector("timex", "timex.collector"),
    NodeCollector("udp_queues", "udp_queues.collector"),
    NodeCollector("uname", "uname.collector"),
    NodeCollector("vmstat", "vmstat.Vmstat"),
    NodeCollector("watchdog", "watchdog.collector"),
    NodeCollector("wifi", "wifi.collector", default=False),
    NodeCollector("xfrm", "xfrm.collector", default=False),
    NodeCollector("xfs", "xfs.collector"),
    NodeCollector("zfs", "zfs.Zfs"),
    NodeCollector("zoneinfo", "zoneinfo.collector", default=False),
)
"""The list of all collectors. To add one, add its file and one line here."""

NODE_COLLECTORS = frozenset(one.name for one in NODE_COLLECTOR_LIST)
"""Valid names in ``node.enable`` and ``node.disable``."""


class Node(Section, frozen=True, kw_only=True):
    """node_exporter's collectors. ``enable`` and ``disable`` are names, as a list or separated by commas; ``sysctl``
    and ``sysctl_info`` are kernel settings (``net.ipv4.tcp_rmem:min,default,max``), as a list or separated by spaces.

    ``…_include`` and ``…_exclude`` are regular expressions that match anywhere in a name; with an ``include`` the
    corresponding ``exclude`` is ignored. Those of ``systemd_unit`` match a whole name, and both apply. The defaults are
    node_exporter's.
    """

    enable: tuple[str, ...] | str = ()
    disable: tuple[str, ...] | str = ()
    udev_data: str = "/run/udev/data"
    dbus_address: str = "unix:path=/run/dbus/system_bus_socket"
    textfile_directory: str = ""
    arp_device_include: str = ""
    arp_device_exclude: str = ""
    bcache_priority_stats: bool = False
    cpu_info: bool = False
    cpu_flags_include: str = ""
    cpu_bugs_include: str = ""
    disk_device_include: str = ""
    disk_device_exclude: str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"
    ethtool_device_include: str = ""
    ethtool_device_exclude: str = ""
    ethtool_metrics_include: str = ""
    hwmon_chip_include: str = ""
    hwmon_chip_exclude: str = ""
    hwmon_sensor_include: str = ""
    hwmon_sensor_exclude: str = ""
    interrupts_include: str = ""
    interrupts_exclude: str = ""
    fs_type_include: str = ""
    fs_type_exclude: str = (
        "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|"
        "overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
    )
    mount_point_include: str = ""
    mount_point_exclude: str = (
        "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
    )
    net_device_include: str = ""
    net_device_exclude: str = ""
    netclass_device_exclude: str = ""
    netclass_ignore_invalid_speed: bool = False
    netstat_fields_include: str = (
        "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|"
        "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"
        "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|"
        "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
    )
    pcidevice_names: bool = False
    pcidevice_ids_file: str = ""
    perf_cpus: str = ""
    power_supply_exclude: str = ""
    qdisc_device_include: str = ""
    qdisc_device_exclude: str = ""
    slab_include: str = ""
    slab_exclude: str = ""
    stat_softirq: bool = False
    sysctl: tuple[str, ...] | str = ()
    sysctl_info: tuple[str, ...] | str = ()
    systemd_unit_include: str = ".+"
    systemd_unit_exclude: str = r".+\.(automount|device|mount|scope|slice)"
    systemd_task_metrics: bool = False
    systemd_restarts_metrics: bool = False
    systemd_start_time_metrics: bool = False
    tape_device_exclude: str = ""
    vmstat_fields_include: str = "^(oom_kill|pgpg|pswp|pg.*fault).*"

    @property
    def enabled(self) -> frozenset[str]:
        return _names(self.enable)

    @property
    def disabled(self) -> frozenset[str]:
        return _names(self.disable)


def _names(value: tuple[str, ...] | str) -> frozenset[str]:
    parts = value.split(",") if isinstance(value, str) else value
    return frozenset(part.strip() for part in parts if part.strip())


def words(value: tuple[str, ...] | str) -> tuple[str, ...]:
    return tuple(value.split()) if isinstance(value, str) else value
