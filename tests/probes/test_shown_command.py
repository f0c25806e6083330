"""Command lines as they may be shown: what is secret is hidden, and what is not can be read."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.probes.shown_command import MOST_CHARACTERS, shown_command

SECRET = "hunter2-Zx9"


@pytest.mark.parametrize(
    "command",
    [
        ["ffmpeg", "-i", "x.mp4", "-f", "flv", f"rtmp://live.twitch.tv/app/{SECRET}"],
        ["ffmpeg", "-f", "tee", f"[f=flv]rtmp://a.rtmp.youtube.com/live2/{SECRET}|[f=flv]rtmp://127.0.0.1/live/cam1"],
        ["ffmpeg", "-f", "mpegts", f"srt://10.0.0.1:9000?streamid=publish:cam1:user:{SECRET}&latency=20"],
        ["ffmpeg", "-i", "x", f"rtmp://studio.example.com/app playpath=cam1 pubUser=me pubPasswd={SECRET}"],
        ["gst-launch-1.0", "videotestsrc", "!", "rtmpsink", f"location=rtmp://live.example.com/app/{SECRET} live=1"],
        ["ffmpeg", "-i", f"https://anna:{SECRET}@camera.lan/stream"],
        ["ffmpeg", "-headers", f"Authorization: Bearer {SECRET}", "-i", "https://camera.lan/stream"],
        ["ffmpeg", "-headers", f"X-Api-Key: {SECRET} and more of {SECRET}", "-i", "x"],
        ["ffmpeg", "-decryption_key", SECRET, "-i", "x"],
        ["curl", "-u", f"anna:{SECRET}", "https://camera.lan"],
        ["curl", f"--user=anna:{SECRET}", "https://camera.lan"],
        ["curl", f"https://hooks.example.com/x?sig={SECRET}&{SECRET}"],
        ["server", "--password", f"{SECRET} with a space"],
        ["server", f"--db-password={SECRET}"],
        ["server", "--api-key", SECRET, f"--token={SECRET}"],
        ["mysql", f"-p{SECRET}", "-h", "db"],
        ["/usr/bin/mariadb-dump", f"-p{SECRET}", "db"],
        ["mysqladmin", f"-p{SECRET}", "status"],
        ["java", f"-Dssl.key={SECRET}"],
        ["run", f"a.password={SECRET}", f"foo.key: {SECRET}"],
        ["wget", "--password", SECRET, f"--http-password={SECRET}", "https://camera.lan"],
        ["/usr/bin/sshpass", "-p", SECRET, "ssh", "host"],
        ["redis-cli", "-a", SECRET, "ping"],
        ["sh", "-c", f"PGPASSWORD={SECRET} psql -h db; run --token '{SECRET} {SECRET}' -v"],
        ["sh", "-c", f"mysqldump -u root -p{SECRET} db | gzip"],
        ["sh", "-c", f"sshpass -p {SECRET} ssh host"],
        ["post", f'{{"user": "me", "password": "{SECRET} {SECRET}"}}'],
        ["ffmpeg", "-i", "x", "-f", "whip", "-authorization", SECRET, "https://studio.example.com/whip"],
        ["gst-launch-1.0", "srtsink", f"streamid=publish:cam1:me:{SECRET}"],
        ["openssl", "rsa", "-passin", f"pass:{SECRET}"],
        ["env", f"AWS_SECRET_ACCESS_KEY={SECRET}", "aws", "s3", "ls"],
        ["redis-cli", "-a", f"-{SECRET}", "ping"],
        ["valkey-cli", "-h", "cache", "-a", f"--{SECRET}"],
        ["server", "--password", f"-{SECRET}", "--token", f"--{SECRET}"],
        ["sudo", "mysql", f"-p{SECRET}", "-h", "db"],
        ["docker", "exec", "-it", "db", "mysqldump", "-u", "root", f"-p{SECRET}"],
        ["timeout", "5", "nice", "-n", "5", "/usr/bin/redis-cli", "-a", SECRET],
        ["env", "A=1", "mosquitto_pub", "-u", "me", "-P", SECRET],
        ["docker", "login", "-u", "me", "-p", SECRET],
        ["curl", "-su", f"anna:{SECRET}", "https://camera.lan"],
        ["curl", "--user", f"anna:{SECRET}", "https://camera.lan"],
        ["sh", "-c", f"sudo redis-cli -a '{SECRET} {SECRET}' ping"],
        ["sh", "-c", f"cd /tmp && run --token -{SECRET}"],
        ["ssh", "host", f"sh -c \"sudo mysql '-p{SECRET}' db\""],
        ["bash", "-c", f"ssh host 'ipmitool -U me -P {SECRET} dcmi power reading'"],
        ["snmpget", "-v2c", "-c", SECRET, "pdu", "1.3.6.1"],
        ["run", f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{SECRET}"],
    ],
)
def test_a_secret_is_hidden(command: list[str]) -> None:
    shown = shown_command(command)
    assert "hunter2" not in shown
    assert "***" in shown
    assert shown.startswith(command[0])


@pytest.mark.parametrize(
    "command",
    [
        "ffmpeg -re -i film.mp4 -c:v libx264 -x264-params keyint=48:scenecut=0 -f flv rtmp://127.0.0.1:1935/live/cam1",
        "ffmpeg -i rtsp://10.0.0.7:554/cam -f flv rtmp://nginx:1935/live/cam1",
        "nginx: worker process",
        "sshd: anna@pts/0",
        "/usr/bin/dockerd -H unix:///var/run/docker.sock --containerd=/run/containerd/containerd.sock",
        "python3 -m http.server --author me 8000",
        "ps -p 4242 -o rss=",
        "docker run -p 80:80 -u 1000 mysql",
        "server --password-prompt -v --token-ttl --listen 127.0.0.1:80",
    ],
)
def test_ordinary_arguments_stay_readable(command: str) -> None:
    assert shown_command(command.split()) == command


@given(st.lists(st.text(max_size=40), max_size=8))
def test_any_command_line_can_be_shown(arguments: list[str]) -> None:
    assert len(shown_command(arguments)) <= MOST_CHARACTERS


@pytest.mark.parametrize("piece", [
    "token.", "token", "a", "key.", "a-", "-", "x=", "://", "a.", "mysql -p", "--token ", '"\\', "'\" ", ";", "sh -c '",
])  # fmt: skip
def test_no_argument_takes_long_to_read(piece: str) -> None:
    began = time.process_time()
    shown_command(["run", (piece * 4096)[:4096]])
    assert time.process_time() - began < 1.0
