"""A machine with much hardware, as a tree of files: what /proc, /sys and udev show of it, in the kernel's own formats.

Both our collectors and the real node_exporter can be pointed at it, so that it is not our own reading that is compared.
"""

from __future__ import annotations

import os
from pathlib import Path

UUID = "0abb23a9-579b-43e6-ad30-227ef47fcb9d"
CACHE_SET = "deaddd54-c735-46d5-868e-f331c5fd7c74"

PROC = {
    "stat": "cpu  100 0 50 1000 5 0 1 0 3 2\ncpu0 60 0 20 500 2 0 1 0 2 1\ncpu1 40 0 30 500 3 0 0 0 1 1\n"
    "intr 500 1 2\nctxt 900\nbtime 1700000000\nprocesses 77\nprocs_running 3\nprocs_blocked 1\n"
    "softirq 5057579 250191 1481983 1647 211099 186066 0 1783454 622196 12499 508444\n",
    "loadavg": "0.21 0.37 0.39 1/719 19737\n",
    "uptime": "1000.0 1900.0\n",
    "meminfo": "MemTotal:   16042172 kB\nMemFree:  225472 kB\nActive(anon):  100 kB\nHugePages_Total:   4\n",
    "vmstat": "nr_free_pages 977769\npgpgin 7344136\npswpout 3\npgfault 2320168809\noom_kill 2\n",
    "diskstats": (
        "   8       0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 0 9653880 "
        "82621804\n"
        "   8       1 sda1 250 0 2000 36 0 0 0 0 0 36 36\n"
        " 254       0 dm-0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n"
        " 259       0 nvme0n1 47114 4 4643973 21650 1078320 43950 39451633 1011053 0 222766 1032546 7 8 9 10 11 12\n"
    ),
    "net/dev": (
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
        "colls carrier "
        "compressed\n"
        "  eth0: 68210035552 520993275 1 2 3 4 5 6 9315587528 43451486 7 8 9 10 11 12\n"
        "    lo: 435303245 1832522 0 0 0 0 0 0 435303245 1832522 0 0 0 0 0 0\n"
    ),
    "net/arp": (
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "192.168.1.1      0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0\n"
        "192.168.1.2      0x1         0x2         bb:cc:dd:ee:ff:aa     *        eth0\n"
    ),
    "net/netstat": "TcpExt: SyncookiesSent ListenDrops TCPTimeouts Else\nTcpExt: 1 2 3 4\n"
    "IpExt: InOctets OutOctets\nIpExt: 6286396970 2786264347\n",
    "net/snmp": "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: ActiveOpens InSegs InErrs CurrEstab\n"
    "Tcp: 3556 57252008 5 9\n"
    "Udp: InDatagrams NoPorts InErrors\nUdp: 88542 120 0\n",
    "net/snmp6": "Ip6InReceives                   \t7\nIp6InOctets                     \t460\n"
    "Icmp6InMsgs                     \t1\nUdp6InDatagrams                 \t8\n",
    "net/sockstat": "sockets: used 1602\nTCP: inuse 35 orphan 1 tw 4 alloc 59 mem 22\nUDP: inuse 12 mem 62\n"
    "UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n",
    "net/sockstat6": "TCP6: inuse 17\nUDP6: inuse 9\nUDPLITE6: inuse 0\nRAW6: inuse 1\nFRAG6: inuse 0 memory 0\n",
    "net/softnet_stat": "00049279 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
    "00000000\n000dfb82 00000029 0000000a 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n",
    "net/udp": "  sl  local_address rem_address   st tx_queue rx_queue tr\n"
    "    0: 00000000:0016 00000000:0000 0A 00000015:00000001 00:00000000 00000000     0        0 2740 1\n",
    "net/udp6": "  sl  local_address rem_address   st tx_queue rx_queue tr\n",
    "net/stat/nf_conntrack": (
        "entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop "
        "icmp_error  expect_new expect_create expect_delete search_restart\n"
        "00000021  00000000 00000001 00000000 00000003 0000588a 00000000 00000000 00000000 00000002 00000000 00000000 "
        "00000000  00000000 00000000 00000000 00000000\n"
        "00000021  00000000 00000000 00000000 00000002 000056a4 00000000 00000000 00000000 00000000 00000004 00000000 "
        "00000000  00000000 00000000 00000000 00000002\n"
    ),
    "sys/net/netfilter/nf_conntrack_count": "123\n",
    "sys/net/netfilter/nf_conntrack_max": "65536\n",
    "sys/fs/file-nr": "1024\t0\t1631329\n",
    "sys/kernel/random/entropy_avail": "1337\n",
    "sys/kernel/random/poolsize": "4096\n",
    "pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\n",
    "pressure/io": "some avg10=0.18 avg60=0.34 avg300=0.10 total=159886802\n"
    "full avg10=0.18 avg60=0.34 avg300=0.10 total=159229614\n",
    "pressure/memory": (
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    ),
    "schedstat": (
        "version 15\ntimestamp 15819019232\n"
        "cpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163039 343796328169361 4767485306\n"
        "domain0 00000000,00000003 212499247 210112015 1861015 1860405436 536440 369895 32599 210079416\n"
        "cpu1 518377256 0 4155211005 2778589869 10466382 2867629021 1904686152592476 364107263788241 5145567945\n"
    ),
    "mdstat": (
        "Personalities : [linear] [raid0] [raid1] [raid5] [raid4] [raid6]\n"
        "md3 : active raid6 sda1[8] sdh1[7] sdg1[6] sdf1[5] sde1[11] sdd1[3] sdc1[10] sdb1[9] sdd1[10](S) sdd2[11](S)\n"
        "      5853468288 blocks super 1.2 level 6, 64k chunk, algorithm 2 [8/8] [UUUUUUUU]\n"
        "\n"
        "md127 : active raid1 sdi2[0] sdj2[1]\n"
        "      312319552 blocks [2/2] [UU]\n"
        "      bitmap: 1/3 pages [4KB], 65536KB chunk\n"
        "\n"
        "md4 : inactive raid1 sda3[0](F) sdb3[1](S)\n"
        "      4883648 blocks [2/2] [UU]\n"
        "\n"
        "md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]\n"
        "      195310144 blocks [2/1] [U_]\n"
        "      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n"
        "\n"
        "md8 : active raid1 sdb1[1] sda1[0] sdc[2](S) sde[3](S)\n"
        "      195310144 blocks [2/2] [UU]\n"
        "      [=>...................]  resync =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n"
        "\n"
        "md201 : active raid1 sda3[0] sdb3[1]\n"
        "      1993728 blocks super 1.2 [2/2] [UU]\n"
        "      [=>...................]  check =  5.7% (114176/1993728) finish=0.2min speed=114176K/sec\n"
        "\n"
        "md7 : active raid6 sdb1[0] sde1[3] sdd1[2] sdc1[1](F)\n"
        "      7813735424 blocks super 1.2 level 6, 512k chunk, algorithm 2 [4/3] [U_UU]\n"
        "      bitmap: 0/30 pages [0KB], 65536KB chunk\n"
        "\n"
        "md9 : active raid1 sdc2[2] sdd2[3] sdb2[1] sda2[0] sde[4](F) sdf[5](F) sdg[6](S)\n"
        "      523968 blocks super 1.2 [4/4] [UUUU]\n"
        "        resync=DELAYED\n"
        "\n"
        "md10 : active raid0 sda1[0] sdb1[1]\n"
        "      314159265 blocks 64k chunks\n"
        "\n"
        "unused devices: <none>\n"
    ),
    "net/rpc/nfs": (
        "net 18628 0 18628 6\nrpc 4329785 1 2\n"
        "proc2 18 2 69 0 0 4410 5 6 7 8 9 10 11 12 13 14 15 99 2\n"
        "proc3 22 1 4084749 29200 94754 32580 186 47747 7981 8639 0 6356 0 6962 0 7958 0 0 241 4 4 2 39\n"
        "proc4 59 98 51 54 83 85 23 24 1 28 73 68 83 12 84 39 68 59 58 88 29 74 69 96 21 84 15 53 86 54 66 56 97 36 49 "
        "32 85 81 11 58 32 67 13 28 35 90 1 26 1337 7 8 9 10 11 12 13 14 15 16 17\n"
    ),
    "net/rpc/nfsd": (
        "rc 1 6 18622\nfh 5 0 0 0 0\nio 157286400 72864\nth 8 0 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 "
        "0.000\nra 32 0 0 0 0 0 0 0 0 0 0 3\nnet 18628 9 18628 6\nrpc 18628 1 2 3 4\n"
        "proc2 18 2 69 0 0 4410 0 0 0 0 0 0 0 0 0 0 0 99 2\n"
        "proc3 22 2 112 0 2719 111 0 0 0 0 0 0 0 0 0 0 0 27 216 0 2 1 0\n"
        "proc4 2 2 10853\n"
        "proc4ops 72 0 0 0 1098 2 3 4 5 6 8179 5896 9 10 11 12 5900 13 14 15 16 17 18 9609 19 2 150 1272 20 21 22 1236 "
        "23 24 3 5 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 "
        "56 57 58 "
        "59 60 61\n"
    ),
    "net/ip_vs_stats": (
        "   Total Incoming Outgoing         Incoming         Outgoing\n"
        "   Conns  Packets  Packets            Bytes            Bytes\n"
        " 16AA370 E33656E5        0     51D8C8883AB3        0\n\n"
        " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n"
        "       4    1FB3C        0          1282A8F        0\n"
    ),
    "net/ip_vs": (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
        "TCP  C0A80016:0CEA wlc\n"
        "  -> C0A85216:0CEA      Tunnel  100    248        2\n"
        "  -> C0A85318:0CEA      Tunnel  100    248        1\n"
        "UDP  C0A80039:0035 wlc\n"
        "  -> C0A85416:0035      Tunnel  0      0          0\n"
        "FWM  10001000 wlc\n"
        "  -> C0A83215:0CEA      Route   0      3          2\n"
        "TCP  [2620:0000:0000:0000:0000:0000:0000:0001]:0050 sh\n"
        "  -> [2620:0000:0000:0000:0000:0000:0000:0002]:0050      Route   100    249        2\n"
    ),
    "spl/kstat/zfs/arcstats": (
        "6 1 0x01 91 4368 5266997922 97951858082072\nname                            type data\n"
        "hits                            4    8772612\nmisses                          4    604635\n"
        "arc_meta_max                    4    21\nmemory_available_bytes          3    -922337\nstring_thing  7  text\n"
    ),
    "spl/kstat/zfs/dmu_tx": (
        "5 1 0x01 11 528 8010436841 354962070418194\nname  type data\ndmu_tx_assigned  4  3532844\n"
    ),
    "spl/kstat/zfs/poolz1/io": (
        "12 3 0x00 1 80 79205351707403 395818011156865\n"
        "nread    nwritten reads    writes   wtime    wlentime wupdate  rtime    rlentime rupdate  wcnt     rcnt\n"
        "1884160  3206144  22       132      7155162  104112268 1 2 3 4 0 0\n"
    ),
    "spl/kstat/zfs/poolz1/objset-1": (
        "23 1 0x01 7 2160 221578688875 6665999035587\nname                            type data\n"
        "dataset_name                    7    poolz1/home\nwrites                          4    4\n"
        "nwritten                        4    6206\nreads                           4    1\n"
    ),
    "spl/kstat/zfs/poolz1/state": "ONLINE\n",
    "spl/kstat/zfs/pool2/state": "DEGRADED\n",
    "1/mountinfo": "29 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n",
    "self/mountinfo": "29 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n",
    "1/mounts": "/dev/sda1 / ext4 rw,relatime 0 0\n",
    "sys/kernel/ostype": "Linux\n",
}

INFINIBAND_PORT = {
    "state": "4: ACTIVE\n",
    "phys_state": "5: LinkUp\n",
    "rate": "40 Gb/sec (4X QDR)\n",
    "counters/excessive_buffer_overrun_errors": "1\n",
    "counters/link_downed": "3\n",
    "counters/multicast_rcv_packets": "93\n",
    "counters/port_rcv_data": "4631917\n",
    "counters/port_xmit_data": "3733440\n",
    "counters/port_xmit_wait": "4294967295\n",
    "counters/port_rcv_errors": "N/A (no PMA)\n",
    "counters_ext/port_rcv_data_64": "9\n",
    "counters_ext/port_unicast_rcv_packets": "61148\n",
}

SYS = {
    # CPUs: two packages of one core, one package of two threads; frequencies in kHz.
    "devices/system/cpu/offline": "\n",
    "devices/system/cpu/isolated": "1,3-4\n",
    **{
        f"devices/system/cpu/cpu{cpu}/{file}": text
        for cpu, package, core, throttled in ((0, 0, 0, 5), (1, 0, 1, 0), (2, 1, 0, 40), (3, 1, 0, 41))
        for file, text in {
            "topology/physical_package_id": f"{package}\n",
            "topology/core_id": f"{core}\n",
            "topology/core_siblings_list": "0-1\n",
            "topology/thread_siblings_list": f"{cpu}\n",
            "thermal_throttle/core_throttle_count": f"{throttled}\n",
            "thermal_throttle/package_throttle_count": f"{30 - package * 24}\n",
            "cpufreq/scaling_cur_freq": f"{1219917 + cpu}\n",
            "cpufreq/scaling_min_freq": "800000\n",
            "cpufreq/scaling_max_freq": "3700000\n",
            "cpufreq/cpuinfo_min_freq": "800000\n",
            "cpufreq/cpuinfo_max_freq": "3700000\n",
            "cpufreq/cpuinfo_transition_latency": "0\n",
            "cpufreq/scaling_available_governors": "performance powersave\n",
            "cpufreq/scaling_governor": "powersave\n",
            "cpufreq/scaling_driver": "intel_pstate\n",
            "cpufreq/related_cpus": f"{cpu}\n",
            "cpufreq/scaling_setspeed": "<unsupported>\n",
        }.items()
    },
    # Network: eth0 up, bond0 of two members, one of them down; lo.
    **{
        f"devices/virtual/net/{name}/{file}": text
        for name, up, index in (("eth0", True, 2), ("bond0", True, 3), ("lo", True, 1))
        for file, text in {
            "addr_assign_type": "3\n", "address": "01:01:01:01:01:01\n", "broadcast": "ff:ff:ff:ff:ff:ff\n",
            "carrier": "1\n", "carrier_changes": "2\n", "carrier_up_count": "1\n", "carrier_down_count": "1\n",
            "dev_id": "0x20\n", "dormant": "1\n", "duplex": "full\n", "flags": "0x1303\n", "ifalias": "\n",
            "ifindex": f"{index}\n", "iflink": f"{index}\n", "link_mode": "1\n", "mtu": "1500\n",
            "name_assign_type": "2\n", "netdev_group": "0\n", "operstate": "up\n" if up else "down\n",
            "speed": "1000\n", "tx_queue_len": "1000\n", "type": "1\n",
        }.items()
    },
    "class/net/bonding_masters": "bond0\n",
    "devices/virtual/net/bond0/bonding/slaves": "eth1 eth4\n",
    "devices/virtual/net/bond0/lower_eth1/bonding_slave/mii_status": "up\n",
    "devices/virtual/net/bond0/lower_eth4/bonding_slave/mii_status": "down\n",
    # Sensors: a core temperature chip, a board chip, a GPU with a clock, a battery chip without a device.
    "devices/platform/coretemp.0/hwmon/hwmon0/name": "coretemp\n",
    "devices/platform/coretemp.0/hwmon/hwmon0/temp1_input": "55000\n",
    "devices/platform/coretemp.0/hwmon/hwmon0/temp1_label": "Physical id 0\n",
    "devices/platform/coretemp.0/hwmon/hwmon0/temp1_crit": "100000\n",
    "devices/platform/coretemp.0/hwmon/hwmon0/temp1_crit_alarm": "0\n",
    "devices/platform/coretemp.0/hwmon/hwmon0/temp2_type": "4\n",
    "devices/platform/coretemp.0/hwmon/hwmon0/temp2_fault": "1\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/name": "nct6779\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/in0_input": "792\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/in0_min": "0\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/in0_alarm": "1\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/in0_beep": "0\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/fan2_input": "1098\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/fan2_pulses": "2\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/pwm1": "153\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/pwm1_enable": "5\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/beep_enable": "1\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/cpu0_vid": "1000\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/intrusion0_alarm": "1\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/update_interval": "1500\n",
    "devices/platform/nct6775.656/hwmon/hwmon1/vrm": "115\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/name": "amdgpu\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/freq1_input": "214000000\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/freq1_label": "sclk\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/power1_average": "17000000\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/power1_average_interval": "1000\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/power1_accuracy": "950000\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/energy1_input": "123456789\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/curr1_input": "1900\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/humidity1_input": "45000\n",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/temp1_input": "not a number\n",
    "devices/virtual/hwmon/hwmon3/name": "BAT-0 x\n",
    "devices/virtual/hwmon/hwmon3/in0_input": "8200\n",
    # Energy: two sockets and a second interface to the first.
    "devices/virtual/powercap/intel-rapl/intel-rapl:0/name": "package-0\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj": "240422366267\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:0/max_energy_range_uj": "262143328850\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:0:0/name": "core\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:0:0/energy_uj": "118821284256\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:0:0/max_energy_range_uj": "262143328850\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:1/name": "package-1\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:1/energy_uj": "5\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:1/max_energy_range_uj": "262143328850\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:1:0/name": "core\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:1:0/energy_uj": "6\n",
    "devices/virtual/powercap/intel-rapl/intel-rapl:1:0/max_energy_range_uj": "262143328850\n",
    "devices/virtual/powercap/intel-rapl/enabled": "1\n",
    # Memory errors.
    "devices/system/edac/mc/mc0/ce_count": "1\n",
    "devices/system/edac/mc/mc0/ue_count": "5\n",
    "devices/system/edac/mc/mc0/ce_noinfo_count": "2\n",
    "devices/system/edac/mc/mc0/ue_noinfo_count": "6\n",
    "devices/system/edac/mc/mc0/csrow0/ce_count": "3\n",
    "devices/system/edac/mc/mc0/csrow0/ue_count": "4\n",
    "devices/system/edac/mc/mc0/csrow0/ch0_ce_count": "2\n",
    "devices/system/edac/mc/mc0/csrow0/ch0_ue_count": "3\n",
    "devices/system/edac/mc/mc0/csrow0/ch0_dimm_label": "mc#0csrow#0channel#0\n",
    # Firmware.
    "class/dmi/id/bios_vendor": "Dell Inc.\n",
    "class/dmi/id/bios_version": "2.2.4\n",
    "class/dmi/id/product_name": "PowerEdge R6515\n",
    "class/dmi/id/sys_vendor": "Dell Inc.\n",
    "class/dmi/id/board_asset_tag": "\n",
    # Fibre Channel, InfiniBand, NVMe, tape.
    **{
        f"class/fc_host/host0/{file}": text
        for file, text in {
            "speed": "16 Gbit\n", "port_state": "Online\n", "port_type": "Point-To-Point (direct nport connection)\n",
            "port_id": "0x000002\n", "node_name": "0x2000e0071bce95f2\n", "port_name": "0x1000e0071bce95f2\n",
            "fabric_name": "0x0\n", "symbolic_name": "Emulex SN1100E2P FV12.4.270.3\n",
            "supported_classes": "Class 3\n", "supported_speeds": "4 Gbit, 8 Gbit, 16 Gbit\n", "dev_loss_tmo": "30\n",
            "statistics/dumped_frames": "0xffffffffffffffff\n", "statistics/error_frames": "0x13\n",
            "statistics/invalid_crc_count": "0x2\n", "statistics/rx_frames": "0x3\n", "statistics/rx_words": "0x4\n",
            "statistics/tx_frames": "0x5\n", "statistics/tx_words": "0x6\n",
            "statistics/seconds_since_last_reset": "0x7\n", "statistics/invalid_tx_word_count": "0x8\n",
            "statistics/link_failure_count": "0x9\n", "statistics/loss_of_signal_count": "0x11\n",
            "statistics/loss_of_sync_count": "0x10\n", "statistics/nos_count": "0x12\n",
            "statistics/fcp_packet_aborts": "0xa\n",
        }.items()
    },
    "class/infiniband/mlx4_0/fw_ver": "2.31.5050\n",
    "class/infiniband/mlx4_0/board_id": "SM_1141000001000\n",
    "class/infiniband/mlx4_0/hca_type": "MT4099\n",
    **{f"class/infiniband/mlx4_0/ports/1/{file}": text for file, text in INFINIBAND_PORT.items()},
    "class/nvme/nvme0/firmware_rev": "1B2QEXP7\n",
    "class/nvme/nvme0/model": "Samsung SSD 970 PRO 512GB               \n",
    "class/nvme/nvme0/serial": "S680HF8N190894I     \n",
    "class/nvme/nvme0/state": "live\n",
    "class/nvme/nvme0/cntlid": "1997\n",
    **{
        f"class/scsi_tape/{name}/stats/{file}": text
        for name in ("st0", "nst0", "st0a")
        for file, text in {
            "in_flight": "1\n", "io_ns": "9247011087720\n", "other_cnt": "1409\n", "read_byte_cnt": "979383912\n",
            "read_cnt": "3741\n", "read_ns": "33788355744\n", "resid_cnt": "19\n",
            "write_byte_cnt": "1496246784000\n", "write_cnt": "53772916\n", "write_ns": "5233597394395\n",
        }.items()
    },
    # Power supplies, thermal zones.
    **{
        f"class/power_supply/BAT0/{file}": text
        for file, text in {
            "capacity": "81\n", "capacity_level": "Normal\n", "charge_full": "3218000\n", "cycle_count": "4\n",
            "energy_full": "50060000\n", "energy_now": "49450000\n", "manufacturer": "LGC\n",
            "model_name": "LNV-45N1\n",
            "power_now": "4830000\n", "present": "1\n", "serial_number": " 38109\n", "status": "Discharging\n",
            "technology": "Li-ion\n", "temp": "305\n", "type": "Battery\n", "voltage_now": "11750000\n",
            "time_to_empty_now": "7200\n", "uevent": "POWER_SUPPLY_NAME=BAT0\n",
        }.items()
    },
    "class/power_supply/AC/online": "0\n",
    "class/power_supply/AC/type": "Mains\n",
    "class/thermal/thermal_zone0/type": "bcm2835_thermal\n",
    "class/thermal/thermal_zone0/policy": "step_wise\n",
    "class/thermal/thermal_zone0/temp": "49925\n",
    "class/thermal/cooling_device0/type": "Processor\n",
    "class/thermal/cooling_device0/max_state": "50\n",
    "class/thermal/cooling_device0/cur_state": "7\n",
    # Block devices and filesystems.
    "block/sda/queue/rotational": "1\n",
    "block/nvme0n1/queue/rotational": "0\n",
    f"fs/bcache/{CACHE_SET}/average_key_size": "0\n",
    f"fs/bcache/{CACHE_SET}/btree_cache_size": "1.5k\n",
    f"fs/bcache/{CACHE_SET}/cache_available_percent": "100\n",
    f"fs/bcache/{CACHE_SET}/congested": "0\n",
    f"fs/bcache/{CACHE_SET}/root_usage_percent": "3\n",
    f"fs/bcache/{CACHE_SET}/tree_depth": "2\n",
    f"fs/bcache/{CACHE_SET}/internal/active_journal_entries": "1\n",
    f"fs/bcache/{CACHE_SET}/internal/btree_nodes": "4\n",
    f"fs/bcache/{CACHE_SET}/internal/btree_read_average_duration_us": "1305\n",
    f"fs/bcache/{CACHE_SET}/internal/cache_read_races": "6\n",
    **{
        f"fs/bcache/{CACHE_SET}/{place}/{file}": text
        for place in ("stats_five_minute", "stats_total", "bdev0/stats_five_minute", "bdev0/stats_total")
        for file, text in {
            "bypassed": "20.1M\n", "cache_bypass_hits": "11\n", "cache_bypass_misses": "12\n", "cache_hits": "546\n",
            "cache_miss_collisions": "13\n", "cache_misses": "14\n", "cache_readaheads": "15\n",
        }.items()
    },
    f"fs/bcache/{CACHE_SET}/bdev0/dirty_data": "20.4G\n",
    f"fs/bcache/{CACHE_SET}/bdev0/writeback_rate_debug": (
        "rate:\t\t1.1M/sec\ndirty:\t\t20.4G\ntarget:\t\t20.4G\nproportional:\t427.5k\nintegral:\t790.0k\n"
        "change:\t\t321.5k/sec\nnext io:\t17ms\n"
    ),
    f"fs/bcache/{CACHE_SET}/cache0/priority_stats": (
        "Unused:         99%\nMetadata:       0%\nAverage:        10473\nSectors per Q:  64\n"
        "Quantiles:      [0 0 0 20 20]\n"
    ),
    f"fs/bcache/{CACHE_SET}/cache0/io_errors": "0\n",
    f"fs/bcache/{CACHE_SET}/cache0/metadata_written": "512\n",
    f"fs/bcache/{CACHE_SET}/cache0/written": "3.7k\n",
    f"fs/btrfs/{UUID}/label": "fixture\n",
    f"fs/btrfs/{UUID}/metadata_uuid": f"{UUID}\n",
    f"fs/btrfs/{UUID}/clone_alignment": "4096\n",
    f"fs/btrfs/{UUID}/nodesize": "16384\n",
    f"fs/btrfs/{UUID}/sectorsize": "4096\n",
    f"fs/btrfs/{UUID}/quota_override": "0\n",
    f"fs/btrfs/{UUID}/features/raid56": "1\n",
    f"fs/btrfs/{UUID}/commit_stats": (
        "commits 258051\nlast_commit_ms 1000\n"
        "max_commit_ms 51462\ntotal_commit_ms 47836090\n"
    ),
    **{f"fs/btrfs/{UUID}/devices/{name}/size": "20971520\n" for name in ("sdb", "sdc", "sdd")},
    f"fs/btrfs/{UUID}/allocation/global_rsv_reserved": "16777216\n",
    f"fs/btrfs/{UUID}/allocation/global_rsv_size": "16777216\n",
    **{
        f"fs/btrfs/{UUID}/allocation/{kind}/{file}": text
        for kind, mode in (("data", "raid5"), ("metadata", "raid1"), ("system", "dup"))
        for file, text in {
            "bytes_may_use": "0\n", "bytes_pinned": "0\n", "bytes_readonly": "0\n", "bytes_reserved": "7\n",
            "bytes_used": "808189952\n", "disk_total": "4294967296\n", "disk_used": "1616379904\n", "flags": "1\n",
            "total_bytes": "2147483648\n", "total_bytes_pinned": "0\n",
            f"{mode}/total_bytes": "2147483648\n", f"{mode}/used_bytes": "808189952\n",
        }.items()
    },
    "fs/xfs/sda1/stats/stats": (
        "extent_alloc 1 872 2 3\nabt 4 5 6 7\nblk_map 61 29 1 2 3 91 8\nbmbt 9 10 11 12\ndir 3 2 1 52\n"
        "trans 1 1 39\nig 5 1 6 4 7 8 9\nlog 7 4 3 10 3\npush_ail 29 0 0 0 0 0 0 0 0 0\nxstrat 1 0\nrw 28 14\n"
        "attr 4 0 0 0\nicluster 1 2 3\nvnodes 4 5 6 7 1 1 1 9\nbuf 46 7 40 2 1 7 0 7 7\n"
        "abtb2 2 0 2 0 0 0 0 0 0 0 0 0 0 0 0\nqm 0 0 0 0 0 0 0 0\nxpc 399724544 92823103 86219234\ndebug 0\n"
    ),
    # Multipath: four paths, one of which is offline.
    "block/dm-5/dm/name": "mpathA\n",
    "block/dm-5/dm/uuid": "mpath-3600508b1001c1234567890abcdef1234\n",
    "block/dm-5/dm/suspended": "0\n",
    "block/dm-5/size": "104857600\n",
    **{f"block/dm-5/slaves/{path}": "" for path in ("sdi", "sdj", "sdk", "sdl")},
    "block/sdi/device/state": "running\n",
    "block/sdj/device/state": "running\n",
    "block/sdk/device/state": "offline\n",
    "block/sdl/device/state": "running\n",
    "block/dm-0/dm/name": "root\n",
    "block/dm-0/dm/uuid": "LVM-deadbeef\n",
    # Equal pages.
    "kernel/mm/ksm/full_scans": "323\n",
    "kernel/mm/ksm/general_profit": "-4096\n",
    "kernel/mm/ksm/merge_across_nodes": "1\n",
    "kernel/mm/ksm/pages_shared": "1\n",
    "kernel/mm/ksm/pages_sharing": "255\n",
    "kernel/mm/ksm/pages_to_scan": "100\n",
    "kernel/mm/ksm/pages_unshared": "0\n",
    "kernel/mm/ksm/pages_volatile": "0\n",
    "kernel/mm/ksm/run": "1\n",
    "kernel/mm/ksm/sleep_millisecs": "20\n",
    # Clocks, NUMA.
    "devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm \n",
    "devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
}  # fmt: skip

UDEV = {
    "b8:0": (
        "S:disk/by-id/x\nI:29\nE:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=1\nE:ID_ATA_WRITE_CACHE_ENABLED=0\n"
        "E:ID_ATA_ROTATION_RATE_RPM=7200\nE:ID_MODEL=TOSHIBA_KSDB4U86\n"
        "E:ID_REVISION=0102\nE:ID_PATH=pci-0000:3b:00.0-sas\n"
        "E:ID_SERIAL=2160A0D5FVGG\nE:ID_SERIAL_SHORT=2160A\nE:ID_WWN=0x7c72382b8de36a64\n"
    ),
    "b254:0": (
        "E:DM_NAME=nvme0n1_crypt\nE:DM_UUID=CRYPT-LUKS2-jolaulot\nE:DM_VG_NAME=system\nE:DM_LV_NAME=root\n"
        "E:ID_FS_TYPE=ext4\nE:ID_FS_USAGE=filesystem\nE:ID_FS_UUID=3deafd0d\nE:ID_FS_VERSION=1.0\n"
    ),
    "b259:0": "E:ID_MODEL=SAMSUNG EHFTF55LURSY-000Y9\nE:ID_SERIAL_SHORT=S252B6CU1HG3M1\n",
}

# Links of /sys/class to where the devices are.
LINKS = {
    "class/net/eth0": "../../devices/virtual/net/eth0",
    "class/net/bond0": "../../devices/virtual/net/bond0",
    "class/net/lo": "../../devices/virtual/net/lo",
    "class/hwmon/hwmon0": "../../devices/platform/coretemp.0/hwmon/hwmon0",
    "class/hwmon/hwmon1": "../../devices/platform/nct6775.656/hwmon/hwmon1",
    "class/hwmon/hwmon2": "../../devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2",
    "class/hwmon/hwmon3": "../../devices/virtual/hwmon/hwmon3",
    "devices/platform/coretemp.0/hwmon/hwmon0/device": "../../../coretemp.0",
    "devices/platform/nct6775.656/hwmon/hwmon1/device": "../../../nct6775.656",
    "devices/pci0000:00/0000:0b:00.0/hwmon/hwmon2/device": "../../../0000:0b:00.0",
    **{
        f"class/powercap/{zone}": f"../../devices/virtual/powercap/intel-rapl/{zone}"
        for zone in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1", "intel-rapl:1:0")
    },
    "class/powercap/intel-rapl": "../../devices/virtual/powercap/intel-rapl",
}


class MachineTree:
    """The tree under ``root``: ``proc``, ``sys`` and ``udev``; ``write`` changes a file of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.procfs, self.sysfs, self.udev = root / "proc", root / "sys", root / "udev"
        for folder, files in ((self.procfs, PROC), (self.sysfs, SYS), (self.udev, UDEV)):
            for path, text in files.items():
                self.write(folder / path, text)
        for path, target in LINKS.items():
            link = self.sysfs / path
            link.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(target, link)

    @staticmethod
    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def settings(self) -> list[str]:
        return [
            f"paths.procfs={self.procfs}",
            f"paths.sysfs={self.sysfs}",
            f"paths.rootfs={self.root}",
            f"node.udev_data={self.udev}",
        ]

    @property
    def arguments(self) -> list[str]:
        """The same for the real node_exporter."""
        return [
            f"--path.procfs={self.procfs}",
            f"--path.sysfs={self.sysfs}",
            f"--path.rootfs={self.root}",
            f"--path.udev.data={self.udev}",
            "--no-collector.netdev.netlink",
        ]
