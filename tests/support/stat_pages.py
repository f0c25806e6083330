"""Statistics pages of nginx's RTMP module, written as ngx_rtmp_stat_module.c writes them."""

from __future__ import annotations

from html import escape


def as_module(name: str) -> str:
    """A name as the module prints it: a space for every byte outside printable ASCII, then HTML escapes."""
    return escape("".join(chr(byte) if 0x20 <= byte < 0x7F else " " for byte in name.encode()), quote=True)


def client(
    *,
    number: int = 1,
    address: str = "127.0.0.1",
    milliseconds: int = 5000,
    flash: str = "FMLE/3.0 (compatible; Lavf59.27",
    dropped: str = "0",
    avsync: str = "-9",
    publishing: bool = False,
    page: str = "",
) -> str:
    return (
        f"<client><id>{number}</id><address>{address}</address><time>{milliseconds}</time>"
        f"<flashver>{flash}</flashver>"
        + (f"<pageurl>{page}</pageurl>" if page else "")
        + f"<dropped>{dropped}</dropped><avsync>{avsync}</avsync><timestamp>4583</timestamp>"
        + ("<publishing/>" if publishing else "")
        + "<active/></client>\r\n"
    )


META = (
    "<meta><video><width>320</width><height>180</height><frame_rate>25</frame_rate><codec>H264</codec>"
    "<profile>Baseline</profile><compat>192</compat><level>2.0</level></video><audio><codec>AAC</codec>"
    "<profile>LC</profile><channels>1</channels><sample_rate>44100</sample_rate></audio></meta>\r\n"
)


def stream(
    name: str = "talk",
    *,
    milliseconds: int = 60000,
    bw_in: int = 800_000,
    bytes_in: int = 6_000_000,
    bw_out: int = 0,
    bytes_out: int = 0,
    clients: str | None = None,
    meta: str = META,
    active: bool = True,
) -> str:
    clients = client(publishing=True) if clients is None else clients
    return (
        f"<stream>\r\n<name>{as_module(name)}</name>\r\n<time>{milliseconds}</time><bw_in>{bw_in}</bw_in>\r\n"
        f"<bytes_in>{bytes_in}</bytes_in>\r\n<bw_out>{bw_out}</bw_out>\r\n<bytes_out>{bytes_out}</bytes_out>\r\n"
        f"<bw_audio>64000</bw_audio>\r\n<bw_video>{max(bw_in - 64000, 0)}</bw_video>\r\n{clients}{meta}"
        f"<nclients>{clients.count('<client>')}</nclients>\r\n"
        + ("<publishing/>\r\n" if "<publishing/>" in clients else "")
        + ("<active/>\r\n" if active else "")
        + "</stream>\r\n"
    )


def page(
    *streams: str,
    pid: int = 4711,
    uptime: int = 100,
    bw_in: int = 800_000,
    bytes_in: int = 6_100_000,
    bw_out: int = 0,
    bytes_out: int = 2000,
    app: str = "live",
    play: str = "",
) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8" ?>\r\n<rtmp>\r\n<nginx_version>1.22.1</nginx_version>\r\n'
        "<nginx_rtmp_version>1.1.4</nginx_rtmp_version>\r\n<built>Feb 13 2023 11:56:56</built>\r\n"
        f"<pid>{pid}</pid>\r\n<uptime>{uptime}</uptime>\r\n<naccepted>3</naccepted>\r\n<bw_in>{bw_in}</bw_in>\r\n"
        f"<bytes_in>{bytes_in}</bytes_in>\r\n<bw_out>{bw_out}</bw_out>\r\n<bytes_out>{bytes_out}</bytes_out>\r\n"
        f"<server>\r\n<application>\r\n<name>{as_module(app)}</name>\r\n<live>\r\n{''.join(streams)}"
        f"<nclients>{''.join(streams).count('<client>')}</nclients>\r\n</live>\r\n{play}</application>\r\n"
        "</server>\r\n</rtmp>\r\n"
    ).encode("latin-1")
