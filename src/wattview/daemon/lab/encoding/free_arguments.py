"""Encoder arguments that a request may choose freely: which they are, and how they join those of WattView.

Everything is listed by name, since an encoder's options include some that read or write files (x264's ``stats``, x265's
``csv`` and ``analysis-save``, libaom's ``film-grain-table``), write FFmpeg's own (``flags +pass1``) or move the key
frames on which viewers and copies depend. Anything else is refused, and no value can be a path or an address.

Pure functions. Options: ``ffmpeg -h encoder=NAME``; x264's ``x264_param_parse``; x265's "Command Line Options";
SVT-AV1's Docs/Parameters.md; libaom's aomcx.h.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wattview.decoding import did_you_mean

FLAGS = frozenset({"cgop", "low_delay", "loop", "ildct", "ilme", "psnr"})

OF_FIELDS = {
    "b": "bitrate", "b:v": "bitrate", "maxrate": "bitrate", "minrate": "bitrate",
    "bufsize": "buffer_seconds", "c": "encoder", "c:v": "encoder", "codec": "encoder", "vcodec": "encoder",
    "preset": "preset", "cpu-used": "preset", "crf": "crf", "qp": "crf", "cq": "crf", "global_quality": "crf",
    "g": "gop_seconds", "keyint_min": "gop_seconds", "r": "fps", "s": "resolution", "b:a": "audio_bitrate",
    "c:a": "audio", "rc": "rate_control", "rc_mode": "rate_control", "keyint": "gop_seconds",
    "min-keyint": "gop_seconds", "bitrate": "bitrate", "vbv-maxrate": "bitrate", "vbv-bufsize": "buffer_seconds",
    "rc-mode": "rate_control",
}  # fmt: skip
"""Options that a field of the scenario sets."""

_NAME = re.compile(r"-([A-Za-z0-9][A-Za-z0-9_-]{0,60})(:v(?::0)?)?", re.ASCII)
_KEY = re.compile(r"(?:no-)?([a-z0-9][a-z0-9_-]{0,60})", re.ASCII)
_VALUE = re.compile(r"[A-Za-z0-9_.,+*()-]{1,200}|-?[0-9.]{1,12}(?::-?[0-9.]{1,12}){1,3}", re.ASCII)
_SOME_FLAGS = re.compile(r"(?:[+-][a-z0-9_]{1,30})+", re.ASCII)


class FreeArguments(NamedTuple):
    """What an encoder takes: options, and the keys of its option of ``key=value:key=value``, if it has one."""

    options: frozenset[str]
    keys_option: str = ""
    keys: frozenset[str] = frozenset()


def parsed(text: str, free: FreeArguments, own: Sequence[str]) -> list[str]:
    """The arguments in ``text``, split as by a shell. ``own`` are WattView's, option after value.

    Raises ValueError: its text says which argument is refused, and why.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"not arguments as in a shell: {error}") from None
    if len(words) % 2:
        raise ValueError(f"{words[-1]} has no value: expected pairs such as -bf 2")
    seen: set[str] = set()
    for option, value in zip(words[::2], words[1::2], strict=True):
        match = _NAME.fullmatch(option)
        name = match[1] if match else option.lstrip("-")
        if name in seen:
            raise ValueError(f"-{name} is given twice")
        seen.add(name)
        if name == free.keys_option and match:
            _check_keys(value, free, own)
            continue
        _check_listed(name, option, free.options if match else frozenset(), _names(own))
        if name == "flags":
            _check_flags(value)
        elif not _VALUE.fullmatch(value):
            raise ValueError(f"{option}: {value!r} is not a valid value: a number, a word or a list")
    return words


def joined(own: Sequence[str], words: Sequence[str], free: FreeArguments) -> list[str]:
    """WattView's arguments and then those of ``parsed``; the keys of both in one option, as FFmpeg takes only the last
    of several."""
    option = f"-{free.keys_option}"
    mine = dict(zip(own[::2], own[1::2], strict=True))
    for name, value in zip(words[::2], words[1::2], strict=True):
        both = name.partition(":")[0] == option and option in mine
        mine |= {option: f"{mine[option]}:{value}"} if both else {name: value}
    return [part for pair in mine.items() for part in pair]


def _check_keys(value: str, free: FreeArguments, own: Sequence[str]) -> None:
    option = f"-{free.keys_option}"
    text = dict(zip(own[::2], own[1::2], strict=True)).get(option, "")
    mine = {key for key, _ in _pairs(text)}
    seen: set[str] = set()
    for key, one in _pairs(value):
        match = _KEY.fullmatch(key)
        _check_listed(match[1] if match else key, f"{option} {key}", free.keys, mine)
        if key in seen:
            raise ValueError(f"{option} {key} is given twice")
        seen.add(key)
        if not re.fullmatch(r"[A-Za-z0-9_.,+*()-]{1,200}", one, re.ASCII):
            raise ValueError(f"{option} {key}: expected {key}=VALUE, a number, a word or a list with commas")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(":") if text else []:
        key, _, value = part.partition("=")
        yield key, value


def _check_listed(name: str, shown: str, listed: frozenset[str], own: set[str]) -> None:
    field = OF_FIELDS.get(name, "")
    if field:
        raise ValueError(f"{shown}: set the scenario's field {field} instead")
    if name in own:
        raise ValueError(f"{shown}: WattView sets that itself, so that key frames and rates are as the scenario says")
    if name not in listed:
        near = did_you_mean(name, sorted(listed))
        raise ValueError(f"{shown} is not among the encoder options that scenarios may set{near}")


def _check_flags(value: str) -> None:
    names = re.findall(r"[a-z0-9_]+", value)
    wrong = [name for name in names if name not in FLAGS]
    if wrong or not _SOME_FLAGS.fullmatch(value):
        raise ValueError(f"-flags: expected some of {', '.join(sorted(FLAGS))}, as in +cgop, got {value!r}")


def _names(own: Sequence[str]) -> set[str]:
    return {option[1:].partition(":")[0] for option in own[::2]}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON = _words(
    "bf refs qmin qmax qdiff qcomp qblur i_qfactor b_qfactor i_qoffset b_qoffset trellis me_range subq cmp coder slices"
    " threads thread_type profile level flags compression_level"
)
"""Options of libavcodec that encoders share."""

X264 = FreeArguments(
    COMMON | _words(
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

X265 = FreeArguments(
    COMMON | _words("tune udu_sei a53cc"),
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

SVT_AV1 = FreeArguments(
    COMMON | _words("la_depth tier tile_columns tile_rows hielevel"),
    "svtav1-params",
    _words(
        "tune film-grain film-grain-denoise enable-overlays lookahead tile-rows tile-columns enable-cdef enable-dlf"
        " enable-restoration enable-tf tf-strength enable-mfmv fast-decode lp pin hierarchical-levels pred-struct"
        " enable-qm qm-min qm-max aq-mode enable-variance-boost variance-boost-strength variance-octile sharpness"
        " undershoot-pct overshoot-pct recode-loop bias-pct min-qp max-qp screen-content-mode scm mastering-display"
        " content-light startup-mg-size rtc ac-bias"
    ),
)

_AOM = _words(
    "aq-mode tile-columns tile-rows enable-cdef enable-global-motion enable-restoration enable-rect-partitions"
    " enable-1to4-partitions enable-ab-partitions enable-angle-delta enable-cfl-intra enable-filter-intra"
    " enable-intra-edge-filter enable-smooth-intra enable-paeth-intra enable-palette enable-flip-idtx enable-tx64"
    " reduced-tx-type-set use-intra-dct-only use-inter-dct-only use-intra-default-tx-only enable-ref-frame-mvs"
    " enable-obmc enable-dual-filter enable-diff-wtd-comp enable-dist-wtd-comp enable-onesided-comp"
    " enable-interinter-wedge enable-interintra-wedge enable-masked-comp enable-interintra-comp"
    " enable-smooth-interintra"
)

AOM = FreeArguments(
    COMMON | _AOM | _words(
        "tune tiles static-thresh denoise-noise-level denoise-block-size undershoot-pct overshoot-pct minsection-pct"
        " maxsection-pct frame-parallel enable-intrabc enable-reduced-reference-set"
    ),
    "aom-params",
    _AOM | _words(
        "sharpness tune-content deltaq-mode max-reference-frames coeff-cost-upd-freq mode-cost-upd-freq"
        " mv-cost-upd-freq cdf-update-mode enable-qm qm-min qm-max quant-b-adapt enable-chroma-deltaq enable-order-hint"
        " enable-tpl-model denoise-noise-level"
    ),
)  # fmt: skip

VPX = FreeArguments(
    COMMON | _words(
        "tune tune-content static-thresh noise-sensitivity undershoot-pct overshoot-pct max-intra-rate tile-columns"
        " tile-rows frame-parallel aq-mode corpus-complexity enable-tpl sharpness min-gf-interval error-resilient"
    )
)  # fmt: skip

NVENC = FreeArguments(
    COMMON | _words(
        "tune tier rc-lookahead surfaces gpu delay b_adapt spatial-aq spatial_aq temporal-aq temporal_aq zerolatency"
        " nonref_p strict_gop aq-strength aud bluray-compat init_qpP init_qpB init_qpI qp_cb_offset qp_cr_offset"
        " weighted_pred b_ref_mode a53cc dpb_size multipass ldkfs extra_sei udu_sei max_slice_size"
        " constrained-encoding cbr_padding tf_level lookahead_level unidir_b split_encode_mode tile-rows tile-columns"
    )
)  # fmt: skip

VAAPI = FreeArguments(
    COMMON | _words(
        "low_power b_depth async_depth max_frame_size blbrc quality aud sei tier tiles tile_groups loop_filter_level"
        " loop_filter_sharpness"
    )
)  # fmt: skip

QSV = FreeArguments(
    COMMON | _words(
        "async_depth low_power rdo max_frame_size max_frame_size_i max_frame_size_p max_slice_size bitrate_limit mbbrc"
        " extbrc adaptive_b p_strategy b_strategy dblk_idc low_delay_brc max_qp_i min_qp_i max_qp_p min_qp_p max_qp_b"
        " min_qp_b scenario cavlc pic_timing_sei single_sei_nal_unit max_dec_frame_buffering look_ahead"
        " look_ahead_depth look_ahead_downsampling recovery_point_sei a53cc aud repeat_pps gpb tile_cols tile_rows"
        " transform_skip tier"
    )
)  # fmt: skip
