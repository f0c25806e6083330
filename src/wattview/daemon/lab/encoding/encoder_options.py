"""The available video encoders: common settings, translated to each encoder's own options.

Pure functions. Whether an encoder works on this machine is determined by ``capabilities``. Options: ffmpeg-codecs(1)
and ``ffmpeg -h encoder=NAME``; x264's ``x264_param_parse``; x265's "Command Line Options"; SVT-AV1's
Docs/Parameters.md; libaom's aomcx.h; WebM's "Live encoding with VP9 using FFmpeg", which libaom's usage "realtime"
resembles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wattview.daemon.lab.encoding.free_arguments import FreeArguments, joined, parsed
from wattview.model import RateControl, Scenario

X264_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip

VAAPI_DEVICE = "/dev/dri/renderD128"


class Wanted(NamedTuple):
    """Requested output: mean and maximum bits per second, and frames per group of pictures."""

    mode: RateControl
    bits: int
    gop: int
    crf: str
    buffer: tuple[str, ...]
    """``-maxrate`` and ``-bufsize``."""

    @property
    def mean(self) -> tuple[str, ...]:
        return ("-b:v", str(self.bits))

    @property
    def quality(self) -> tuple[str, ...]:
        """x264's options, which others share: constant quality, else mean bitrate."""
        return ("-crf", self.crf) if self.mode == "crf" else self.mean


class EncoderEntry(NamedTuple):
    """One encoder, or one hardware interface with its codecs (``h264_nvenc``).

    ``codecs`` maps FFmpeg's name of the encoder to the codec. ``options`` are those of rate control and of groups of
    pictures; ``free`` those that a request may add. ``presets`` maps x264's presets, fastest first, to its own scale,
    the values of ``preset_option``; empty if it has none. ``own_presets`` are valid too. ``hardware``: FFmpeg lists it
    on every machine, and only encoding with it shows whether it works. ``device`` goes before the inputs; ``uploads``
    move a picture of 8 or of 10 bits to the encoder, at the end of the filter chain.
    """

    codecs: dict[str, str]
    options: Callable[[Wanted], tuple[str, ...]]
    free: FreeArguments
    presets: tuple[str, ...] = X264_PRESETS
    own_presets: frozenset[str] = frozenset()
    preset_option: str = "-preset"
    max_crf: int = 51
    hardware: bool = False
    device: tuple[str, ...] = ()
    uploads: tuple[str, str] = ("", "")


def _x264(wanted: Wanted) -> tuple[str, ...]:
    groups = ("-keyint_min", str(wanted.gop), "-sc_threshold", "0")
    constant = ("-minrate", str(wanted.bits), "-x264-params", "nal-hrd=cbr") if wanted.mode == "cbr" else ()
    return (*groups, *wanted.quality, *wanted.buffer, *constant)


def _x265(wanted: Wanted) -> tuple[str, ...]:
    params = f"keyint={wanted.gop}:min-keyint={wanted.gop}:scenecut=0:open-gop=0:log-level=error"
    if wanted.mode == "cbr":
        params += ":strict-cbr=1"
    return (*wanted.quality, *wanted.buffer, "-x265-params", params)


def _svt_av1(wanted: Wanted) -> tuple[str, ...]:
    # Its variable rate has a target but no maximum; a constant rate requires the low-delay structure.
    most = f"mbr={max(1, wanted.bits // 1000)}"
    params = {"capped": "rc=1", "cbr": "rc=2:pred-struct=1", "crf": most}[wanted.mode]
    return (*wanted.quality, "-svtav1-params", f"{params}:scd=0")


def _libvpx(wanted: Wanted) -> tuple[str, ...]:
    return ("-deadline", "realtime", *_without_delay(wanted))


def _libaom(wanted: Wanted) -> tuple[str, ...]:
    return ("-usage", "realtime", *_without_delay(wanted))


def _without_delay(wanted: Wanted) -> tuple[str, ...]:
    """What libvpx and libaom need to keep up: no frames ahead, and the rows of a picture on several threads. Equal
    minimum, mean and maximum are a constant rate; with constant quality the mean is the maximum."""
    rows = ("-lag-in-frames", "0", "-row-mt", "1", "-keyint_min", str(wanted.gop))
    least = ("-minrate", str(wanted.bits)) if wanted.mode == "cbr" else ()
    constant = ("-crf", wanted.crf) if wanted.mode == "crf" else ()
    return (*rows, *constant, *wanted.mean, *least, *wanted.buffer)


def _nvenc(wanted: Wanted) -> tuple[str, ...]:
    groups = ("-no-scenecut", "1", "-forced-idr", "1")
    if wanted.mode == "crf":
        return (*groups, "-rc", "vbr", "-cq", wanted.crf, "-b:v", "0", *wanted.buffer)
    return (*groups, "-rc", "cbr" if wanted.mode == "cbr" else "vbr", *wanted.mean, *wanted.buffer)


def _vaapi(wanted: Wanted) -> tuple[str, ...]:
    if wanted.mode == "crf":
        return ("-rc_mode", "CQP", "-global_quality", wanted.crf)
    return ("-rc_mode", "CBR" if wanted.mode == "cbr" else "VBR", *wanted.mean, *wanted.buffer)


def _vaapi_by_index(wanted: Wanted) -> tuple[str, ...]:
    """VP9 and AV1 count quantisers to 255, libvpx and libaom to 63."""
    return _vaapi(wanted._replace(crf=str(4 * int(wanted.crf))) if wanted.mode == "crf" else wanted)


def _qsv(wanted: Wanted) -> tuple[str, ...]:
    if wanted.mode == "crf":
        return ("-global_quality", wanted.crf)
    # Quick Sync treats an equal mean and maximum as a constant rate.
    return ("-b:v", str(wanted.bits if wanted.mode == "cbr" else wanted.bits - 1), *wanted.buffer)


def _interface(name: str, *codecs: str) -> dict[str, str]:
    return {f"{codec}_{name}": codec for codec in codecs}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON = _words(
    "bf refs qmin qmax qdiff qcomp qblur i_qfactor b_qfactor i_qoffset b_qoffset trellis me_range subq cmp coder slices"
    " threads thread_type profile level flags compression_level"
)
"""Options of libavcodec that encoders share."""

_X264_ARGUMENTS = FreeArguments(
    _COMMON | _words(
        "tune wpredp a53cc aq-mode aq-strength psy psy-rd rc-lookahead weightb weightp bluray-compat b-bias b-pyramid"
        " mixed-refs 8x8dct fast-pskip aud mbtree deblock cplxblur partitions direct-pred slice-max-size me_method"
        " motion-est b_strategy chromaoffset noise_reduction udu_sei crf_max"
    ),
    "x264-params",
    _words(
        "ref bframes b-adapt b-bias b-pyramid cabac deblock slices slice-max-size slice-max-mbs slice-min-mbs threads"
        " lookahead-threads sliced-threads sync-lookahead rc-lookahead mbtree qcomp qpmin qpmax qpstep ipratio pbratio"
        " chroma-qp-offset aq-mode aq-strength cplxblur qblur partitions direct weightb weightp me merange mvrange"
        " subme psy psy-rd mixed-refs chroma-me 8x8dct trellis fast-pskip dct-decimate deadzone-inter deadzone-intra nr"
        " aud pic-struct bluray-compat non-deterministic crf-max"
    ),
)  # fmt: skip

_X265_ARGUMENTS = FreeArguments(
    _COMMON | _words("tune udu_sei a53cc"),
    "x265-params",
    _words(
        "ref bframes b-adapt bframe-bias b-pyramid b-intra rc-lookahead lookahead-slices lookahead-threads rd"
        " rdoq-level psy-rd psy-rdoq rd-refine ctu min-cu-size max-tu-size tu-intra-depth tu-inter-depth limit-refs"
        " limit-modes limit-tu rect amp early-skip rskip rskip-edge-threshold fast-intra tskip tskip-fast cu-lossless"
        " sao limit-sao sao-non-deblock selective-sao signhide weightp weightb deblock me merange subme max-merge"
        " temporal-mvp hme hme-search hme-range aq-mode aq-strength aq-motion hevc-aq qg-size cutree qcomp qpmin qpmax"
        " qpstep ipratio pbratio cbqpoffs crqpoffs nr-intra nr-inter strong-intra-smoothing constrained-intra"
        " frame-threads pools pmode pme wpp slices aud hrd repeat-headers info level-idc high-tier copy-pic"
        " splitrd-skip dynamic-rd ssim-rd rc-grain master-display max-cll hdr10 hdr10-opt chromaloc crf-max crf-min"
    ),
)  # fmt: skip

_SVT_AV1_ARGUMENTS = FreeArguments(
    _COMMON | _words("la_depth tier tile_columns tile_rows hielevel"),
    "svtav1-params",
    _words(
        "tune film-grain film-grain-denoise enable-overlays lookahead tile-rows tile-columns enable-cdef enable-dlf"
        " enable-restoration enable-tf tf-strength enable-mfmv fast-decode lp pin hierarchical-levels pred-struct"
        " enable-qm qm-min qm-max aq-mode enable-variance-boost variance-boost-strength variance-octile sharpness"
        " undershoot-pct overshoot-pct recode-loop bias-pct min-qp max-qp screen-content-mode scm mastering-display"
        " content-light startup-mg-size rtc ac-bias"
    ),
)

_AOM_BOTH = _words(
    "aq-mode tile-columns tile-rows enable-cdef enable-global-motion enable-restoration enable-rect-partitions"
    " enable-1to4-partitions enable-ab-partitions enable-angle-delta enable-cfl-intra enable-filter-intra"
    " enable-intra-edge-filter enable-smooth-intra enable-paeth-intra enable-palette enable-flip-idtx enable-tx64"
    " reduced-tx-type-set use-intra-dct-only use-inter-dct-only use-intra-default-tx-only enable-ref-frame-mvs"
    " enable-obmc enable-dual-filter enable-diff-wtd-comp enable-dist-wtd-comp enable-onesided-comp"
    " enable-interinter-wedge enable-interintra-wedge enable-masked-comp enable-interintra-comp"
    " enable-smooth-interintra"
)

_AOM_ARGUMENTS = FreeArguments(
    _COMMON | _AOM_BOTH | _words(
        "tune tiles static-thresh denoise-noise-level denoise-block-size undershoot-pct overshoot-pct minsection-pct"
        " maxsection-pct frame-parallel enable-intrabc enable-reduced-reference-set"
    ),
    "aom-params",
    _AOM_BOTH | _words(
        "sharpness tune-content deltaq-mode max-reference-frames coeff-cost-upd-freq mode-cost-upd-freq"
        " mv-cost-upd-freq cdf-update-mode enable-qm qm-min qm-max quant-b-adapt enable-chroma-deltaq enable-order-hint"
        " enable-tpl-model denoise-noise-level"
    ),
)  # fmt: skip

_VPX_ARGUMENTS = FreeArguments(
    _COMMON | _words(
        "tune tune-content static-thresh noise-sensitivity undershoot-pct overshoot-pct max-intra-rate tile-columns"
        " tile-rows frame-parallel aq-mode corpus-complexity enable-tpl sharpness min-gf-interval error-resilient"
    )
)  # fmt: skip

_NVENC_ARGUMENTS = FreeArguments(
    _COMMON | _words(
        "tune tier rc-lookahead surfaces gpu delay b_adapt spatial-aq spatial_aq temporal-aq temporal_aq zerolatency"
        " nonref_p strict_gop aq-strength aud bluray-compat init_qpP init_qpB init_qpI qp_cb_offset qp_cr_offset"
        " weighted_pred b_ref_mode a53cc dpb_size multipass ldkfs extra_sei udu_sei max_slice_size"
        " constrained-encoding cbr_padding tf_level lookahead_level unidir_b split_encode_mode tile-rows tile-columns"
    )
)  # fmt: skip

_VAAPI_ARGUMENTS = FreeArguments(
    _COMMON | _words(
        "low_power b_depth async_depth max_frame_size blbrc quality aud sei tier tiles tile_groups loop_filter_level"
        " loop_filter_sharpness"
    )
)  # fmt: skip

_QSV_ARGUMENTS = FreeArguments(
    _COMMON | _words(
        "async_depth low_power rdo max_frame_size max_frame_size_i max_frame_size_p max_slice_size bitrate_limit mbbrc"
        " extbrc adaptive_b p_strategy b_strategy dblk_idc low_delay_brc max_qp_i min_qp_i max_qp_p min_qp_p max_qp_b"
        " min_qp_b scenario cavlc pic_timing_sei single_sei_nal_unit max_dec_frame_buffering look_ahead"
        " look_ahead_depth look_ahead_downsampling recovery_point_sei a53cc aud repeat_pps gpb tile_cols tile_rows"
        " transform_skip tier"
    )
)  # fmt: skip

_LIVE_PRESETS = ("8", "8", "7", "7", "6", "6", "5", "5", "4", "4")
"""Values of ``cpu-used`` that libvpx and libaom have for real time."""

_UP_TO_8 = frozenset(str(number) for number in range(9))
_VAAPI_UPLOADS = (",format=nv12,hwupload", ",format=p010le,hwupload")
_VAAPI_DEVICE = ("-vaapi_device", VAAPI_DEVICE)


ENCODERS: tuple[EncoderEntry, ...] = (
    EncoderEntry({"libx264": "h264"}, _x264, _X264_ARGUMENTS),
    EncoderEntry({"libx265": "hevc"}, _x265, _X265_ARGUMENTS),
    EncoderEntry(
        {"libsvtav1": "av1"}, _svt_av1, _SVT_AV1_ARGUMENTS,
        presets=("11", "10", "9", "8", "7", "6", "5", "4", "3", "2"),
        own_presets=frozenset(str(number) for number in range(14)), max_crf=63,
    ),
    EncoderEntry(
        {"libaom-av1": "av1"}, _libaom, _AOM_ARGUMENTS, presets=_LIVE_PRESETS, own_presets=_UP_TO_8,
        preset_option="-cpu-used", max_crf=63,
    ),
    EncoderEntry(
        {"libvpx-vp9": "vp9"}, _libvpx, _VPX_ARGUMENTS, presets=_LIVE_PRESETS, own_presets=_UP_TO_8,
        preset_option="-cpu-used", max_crf=63,
    ),
    EncoderEntry(
        _interface("nvenc", "h264", "hevc", "av1"), _nvenc, _NVENC_ARGUMENTS, hardware=True,
        uploads=("", ",format=p010le"),
        presets=("p1", "p1", "p2", "p3", "p3", "p4", "p5", "p6", "p7", "p7"),
        own_presets=frozenset(f"p{number}" for number in range(1, 8)),
    ),
    EncoderEntry(
        _interface("vaapi", "h264", "hevc"), _vaapi, _VAAPI_ARGUMENTS, hardware=True, presets=(),
        device=_VAAPI_DEVICE, uploads=_VAAPI_UPLOADS,
    ),
    EncoderEntry(
        _interface("vaapi", "vp9", "av1"), _vaapi_by_index, _VAAPI_ARGUMENTS, hardware=True, presets=(), max_crf=63,
        device=_VAAPI_DEVICE, uploads=_VAAPI_UPLOADS,
    ),
    EncoderEntry(
        _interface("qsv", "h264", "hevc", "vp9", "av1"), _qsv, _QSV_ARGUMENTS, hardware=True, presets=(
            "veryfast", "veryfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "veryslow",
        ),
        device=("-init_hw_device", "qsv=hw", "-filter_hw_device", "hw"), uploads=(",format=nv12", ",format=p010le"),
    ),
)  # fmt: skip
"""Valid names in a request are in ``model.scenarios.VideoEncoder``."""

_BY_NAME = {name: entry for entry in ENCODERS for name in entry.codecs}


def entry_of(encoder: str) -> EncoderEntry:
    """The entry of an encoder by FFmpeg's name. Raises KeyError."""
    return _BY_NAME[encoder]


def codec(encoder: str) -> str:
    """The codec: ``h264``, ``hevc``, ``vp9`` or ``av1``."""
    return entry_of(encoder).codecs[encoder]


def takes_ten_bits(encoder: str) -> bool:
    """Whether the encoder takes pictures of 10 bits: all but the hardware's H.264."""
    return not (entry_of(encoder).hardware and codec(encoder) == "h264")


def upload(scenario: Scenario) -> str:
    """The end of the filter chain before the scenario's encoder."""
    return entry_of(scenario.encoder).uploads[scenario.bit_depth == 10]


def accepts_preset(encoder: str, preset: str) -> bool:
    return preset in X264_PRESETS or preset in entry_of(encoder).own_presets


def native_preset(encoder: str, preset: str) -> str | None:
    """A preset on the encoder's own scale; None if it has none."""
    scale = entry_of(encoder).presets
    if not scale:
        return None
    return scale[X264_PRESETS.index(preset)] if preset in X264_PRESETS else preset


def encoder_arguments(scenario: Scenario, *, bits: int, fps: float) -> list[str]:
    """The encoder, preset, rate control and groups of pictures for one output of ``bits`` per second, and the
    scenario's free arguments.

    All groups have the same length and start with a key frame, where players of live streams can join. Raises
    ValueError if a free argument is refused.
    """
    encoder, gop = scenario.encoder, max(1, round(scenario.gop_seconds * fps))
    preset = native_preset(encoder, scenario.preset)
    buffer = ("-maxrate", str(bits), "-bufsize", str(round(scenario.buffer_seconds * bits)))
    wanted = Wanted(scenario.rate_control, bits, gop, str(scenario.crf), buffer)
    entry = entry_of(encoder)
    named = ("-c:v", encoder, *((entry.preset_option, preset) if preset is not None else ()), "-g", str(gop))
    own = [*named, *entry.options(wanted)]
    return joined(own, parsed(scenario.encoder_args, entry.free, own), entry.free)
