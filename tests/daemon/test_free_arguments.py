"""Free encoder arguments: what an encoder may be told, and that nothing of it reads or writes a file."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattview.daemon.lab.encoding import encoder_options
from wattview.daemon.lab.encoding.encoder_options import ENCODERS, encoder_arguments, entry_of
from wattview.model import Scenario

TAKEN = {
    "libx264": (
        "-tune film -bf 2", "-profile:v high -level 4.1", "-deblock -1:-1", "-psy-rd 1.0:0.15", "-threads 2",
        "-x264-params ref=3:no-mbtree=1:deblock=-1,-1", "-flags +cgop+low_delay",
    ),
    "libx265": (
        "-x265-params ref=3:sao=0",
        "-x265-params master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=99,9",
    ),
    "libsvtav1": ("-svtav1-params tune=0:lp=2",),
    "libaom-av1": ("-tiles 2x2", "-aom-params sharpness=2"),
    "libvpx-vp9": ("-aq-mode 3 -tile-columns 2",),
    "h264_nvenc": ("-spatial-aq 1 -b_ref_mode middle",),
    "hevc_vaapi": ("-low_power 1",),
    "av1_qsv": ("-look_ahead_depth 20",),
}  # fmt: skip

REFUSED = {
    "libx264": (
        "-f mp4", "-i /etc/passwd", "-f tee", "tee:x y", "-y -y", "-map 0:1", "-vf scale=1:1",
        "-filter_complex movie=x",
        "-stats /tmp/x", "-passlogfile x", "-x264opts stats=x", "-x264-params stats=x", "-x264-params qpfile=x",
        "-x264-params dump-yuv=x", "-x264-params log-file=x", "-x264-params cqmfile=x", "-x264-params opencl-clbin=x",
        "-x264-params ref=/tmp/x", "-x264-params no-stats=x", "-x264-params ref=3\\:stats=x", "-x264-params ref",
        "-flags +pass1", "-flags +cgop-pass2", "-flags pass1", "-pass 1", "-/tune /etc/passwd", "@file x",
        "-tune @file",
        "-tune file:x", "-tune http://x", "-tune ../x", "-progress http://x", "-report 1", "-sdp_file x", "-bf",
        "2 -bf",
        "-bf 'a b", "-bf ''", "-bf 2 -bf:v 3", "--tune film", "-init_hw_device x", "-dump_attachment:t x", "-bf \u0663",
    ),
    "libx265": (
        "-x265-stats x", "-x265-params csv=x", "-x265-params csv-log-level=2", "-x265-params analysis-save=x",
        "-x265-params analysis-load=x", "-x265-params recon=x", "-x265-params recon-file=x", "-x265-params stats=x",
        "-x265-params lambda-file=x", "-x265-params scaling-list=x", "-x265-params dhdr10-info=x",
        "-x265-params pass=1",
        "-x265-params zonefile=x", "-x265-params log-level=full", "-x265-params qpfile=x",
    ),
    "libsvtav1": ("-svtav1-params fgs-table=x", "-svtav1-params stats=x", "-svtav1-params scd=1"),
    "libaom-av1": ("-aom-params film-grain-table=x", "-aom-params vmaf-model-path=x", "-usage good"),
    "libvpx-vp9": ("-deadline good", "-lag-in-frames 9", "-ts-parameters x=1"),
    "hevc_qsv": ("-load_plugins x", "-qsv_params x=y"),
}  # fmt: skip


def arguments(encoder: str, text: str, **fields: object) -> list[str]:
    scenario = Scenario(name="x", encoder=encoder, encoder_args=text, **fields)  # type: ignore[arg-type]
    return encoder_arguments(scenario, bits=1_000_000, fps=30)


def test_settings_of_an_encoder_are_passed_on() -> None:
    for encoder, texts in TAKEN.items():
        for text in texts:
            own, given = arguments(encoder, ""), arguments(encoder, text)
            missing = [word for word in text.split() if not any(part.endswith(word) for part in given)]
            assert missing == [], (encoder, text, given)
            assert [word for word in own[:6] if word not in given] == [], "what WattView asks for stays"


def test_what_reads_or_writes_elsewhere_or_moves_key_frames_is_refused() -> None:
    for encoder, texts in REFUSED.items():
        for text in texts:
            with pytest.raises(ValueError, match=r"\S"):
                pytest.fail(f"{encoder} took {text!r}: {arguments(encoder, text)}")


@pytest.mark.parametrize(
    ("text", "field"), [("-crf 20", "crf"), ("-b:v 2M", "bitrate"), ("-g 9", "gop_seconds"),
                        ("-c:v libx265", "encoder"),
                        ("-x264-params keyint=9", "gop_seconds"), ("-preset slow", "preset")],
)  # fmt: skip
def test_an_option_that_has_a_field_of_its_own_names_that_field(text: str, field: str) -> None:
    with pytest.raises(ValueError, match=f"set the scenario's field {field} instead"):
        arguments("libx264", text)


def test_keys_join_those_that_are_there() -> None:
    """FFmpeg takes only the last of two -x264-params."""
    given = arguments("libx264", "-x264-params ref=3", rate_control="cbr")
    assert given.count("-x264-params") == 1
    assert given[given.index("-x264-params") + 1] == "nal-hrd=cbr:ref=3"
    with pytest.raises(ValueError, match="nal-hrd: WattView sets that itself"):
        arguments("libx264", "-x264-params nal-hrd=vbr", rate_control="cbr")


NAMES = sorted({name for entry in ENCODERS for name in entry.codecs})
WORDS = st.sampled_from(
    [word for texts in (*TAKEN.values(), *REFUSED.values()) for text in texts for word in text.split()]
)


@settings(max_examples=40)
@given(st.sampled_from(NAMES), st.lists(WORDS | st.text(max_size=12), max_size=6).map(" ".join))
def test_no_text_brings_more_than_listed_options_without_paths(encoder: str, text: str) -> None:
    try:
        given = arguments(encoder, text)
    except ValueError:
        return
    free = entry_of(encoder).free
    added = given[len(arguments(encoder, "")) :]
    assert len(given) % 2 == 0
    for option, value in zip(added[::2], added[1::2], strict=True):
        name = option[1:].partition(":")[0]
        assert name in free.options or name == free.keys_option
        assert not set(value) & set("/\\@%'\" \n")


def test_no_listed_name_is_one_of_wattviews_own() -> None:
    for entry in ENCODERS:
        for encoder in entry.codecs:
            own = {option[1:] for option in encoder_options.encoder_arguments(
                Scenario(name="x", encoder=encoder), bits=1_000_000, fps=30)[::2]}  # fmt: skip
            assert own & entry.free.options == set()
