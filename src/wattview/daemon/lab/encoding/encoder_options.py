"""The video encoders that a scenario may ask for, in FFmpeg's words: one set of meanings, each encoder's own options.

Pure functions. Whether an encoder works on this machine is another question: ``capabilities`` finds out by encoding.
Options: ffmpeg-codecs(1) and ``ffmpeg -h encoder=NAME``; SVT-AV1's Docs/Parameters.md; x265's "Command Line Options".
"""

from __future__ import annotations

from wattview.model import Scenario

X264_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip

_OTHER_SCALES: dict[str, tuple[str, ...]] = {
    "libsvtav1": ("11", "10", "9", "8", "7", "6", "5", "4", "3", "2"),
    "nvenc": ("p1", "p1", "p2", "p3", "p3", "p4", "p5", "p6", "p7", "p7"),
    "qsv": ("veryfast", "veryfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "veryslow"),
}
"""x264's presets, from the fastest to the slowest, on the scales of the others. VAAPI has none."""

_OWN_PRESETS: dict[str, frozenset[str]] = {
    "libsvtav1": frozenset(str(number) for number in range(14)),
    "nvenc": frozenset(f"p{number}" for number in range(1, 8)),
}

MAX_CRF = {"libsvtav1": 63}
VAAPI_DEVICE = "/dev/dri/renderD128"


def family(encoder: str) -> str:
    """What decides on the options: the name itself, or the hardware interface (``nvenc``, ``vaapi``, ``qsv``)."""
    interface = encoder.rpartition("_")[2]
    return interface if interface in {"nvenc", "vaapi", "qsv"} else encoder


def codec(encoder: str) -> str:
    """What comes out: ``h264``, ``hevc`` or ``av1``."""
    software = {"libx264": "h264", "libx265": "hevc", "libsvtav1": "av1"}
    return software.get(encoder) or encoder.partition("_")[0]


def accepts_preset(encoder: str, preset: str) -> bool:
    return preset in X264_PRESETS or preset in _OWN_PRESETS.get(family(encoder), ())


def native_preset(encoder: str, preset: str) -> str | None:
    """A preset on the encoder's own scale; None where it has no such thing."""
    kind = family(encoder)
    if kind == "vaapi":
        return None
    if kind in _OTHER_SCALES and preset in X264_PRESETS:
        return _OTHER_SCALES[kind][X264_PRESETS.index(preset)]
    return preset


def device_arguments(encoder: str) -> list[str]:
    """What stands before the inputs: the hardware that encodes."""
    match family(encoder):
        case "vaapi":
            return ["-vaapi_device", VAAPI_DEVICE]
        case "qsv":
            return ["-init_hw_device", "qsv=hw", "-filter_hw_device", "hw"]
        case _:
            return []


def upload_filter(encoder: str) -> str:
    """What stands at the end of the filters: the way of a picture into the encoder."""
    match family(encoder):
        case "vaapi":
            return ",format=nv12,hwupload"
        case "qsv":
            return ",format=nv12"
        case _:
            return ""


def encoder_arguments(scenario: Scenario, *, bits: int, fps: int) -> list[str]:
    """The encoder, its preset, its rate control and its groups of pictures, for one output of ``bits`` a second.

    Every group has the same length and begins with a key frame: players of live streams join there.
    """
    encoder, gop = scenario.encoder, max(1, round(scenario.gop_seconds * fps))
    preset = native_preset(encoder, scenario.preset)
    arguments = ["-c:v", encoder, *(["-preset", preset] if preset is not None else []), "-g", str(gop)]
    buffer = ["-maxrate", str(bits), "-bufsize", str(round(scenario.buffer_seconds * bits))]
    mode, crf = scenario.rate_control, str(scenario.crf)
    match family(encoder):
        case "libx264":
            arguments += ["-keyint_min", str(gop), "-sc_threshold", "0"]
            if mode == "crf":
                return [*arguments, "-crf", crf, *buffer]
            constant = ["-minrate", str(bits), "-x264-params", "nal-hrd=cbr"] if mode == "cbr" else []
            return [*arguments, "-b:v", str(bits), *buffer, *constant]
        case "libx265":
            params = f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:log-level=error"
            if mode == "cbr":
                params += ":strict-cbr=1"
            rate = ["-crf", crf] if mode == "crf" else ["-b:v", str(bits)]
            return [*arguments, *rate, *buffer, "-x265-params", params]
        case "libsvtav1":
            # Its variable rate has a target and no maximum; a constant rate needs the low-delay structure.
            params = {"capped": "rc=1", "cbr": "rc=2:pred-struct=1", "crf": f"mbr={max(1, bits // 1000)}"}[mode]
            rate = ["-crf", crf] if mode == "crf" else ["-b:v", str(bits)]
            return [*arguments, *rate, "-svtav1-params", f"{params}:scd=0"]
        case "nvenc":
            arguments += ["-no-scenecut", "1", "-forced-idr", "1"]
            if mode == "crf":
                return [*arguments, "-rc", "vbr", "-cq", crf, "-b:v", "0", *buffer]
            return [*arguments, "-rc", "cbr" if mode == "cbr" else "vbr", "-b:v", str(bits), *buffer]
        case "vaapi":
            if mode == "crf":
                return [*arguments, "-rc_mode", "CQP", "-qp", crf]
            return [*arguments, "-rc_mode", "CBR" if mode == "cbr" else "VBR", "-b:v", str(bits), *buffer]
        case "qsv":
            if mode == "crf":
                return [*arguments, "-global_quality", crf]
            # Quick Sync takes an equal mean and maximum for a constant rate.
            mean = bits if mode == "cbr" else bits - 1
            return [*arguments, "-b:v", str(mean), *buffer]
        case unknown:
            raise ValueError(f"no such encoder: {unknown}")
