"""Energy, cost and carbon by what was delivered, worked out by hand."""

from __future__ import annotations

import pytest

from tests.support.analysis_cases import PRICES, evidence, line, record
from wattview.analysis.efficiency import pixels, work_of
from wattview.analysis.results import analyse, compared_with_baseline
from wattview.analysis.windows.energy import NoData
from wattview.config import Cost
from wattview.model import EncoderStatus, Output, Playback, RenditionRecord

RAPL = line('wattview_host_energy_joules_total{source="rapl"}', 50.0)
CPU = (line("wattview_host_cpu_busy_seconds_total", 2.0), line("wattview_host_cpus", 0.0, first=8.0))
TWO = {"streams": 2, "resolution": "1280x720", "fps": 30.0, "bitrate": "2500k", "type": "streams"}


def test_what_two_streams_of_a_minute_delivered() -> None:
    work = work_of(record(**TWO), 60.0)
    assert work.frames == 3600
    assert work.megapixels == pytest.approx(3600 * 0.9216)
    # 2 x 2.5 Mbit/s x 60 s
    assert work.gigabytes == pytest.approx(0.0375)
    assert work.stream_hours == pytest.approx(2 / 60)
    assert (work.viewer_hours, work.delivered_gigabytes) == (None, None)


def test_reported_figures_take_precedence_over_requested_ones() -> None:
    statuses = [EncoderStatus(stream=name, frames=1790, bitrate_bps=2.4e6) for name in ("a", "b")]
    work = work_of(record(**TWO, encoders=statuses), 60.0)
    assert work.frames == 3580
    assert work.gigabytes == pytest.approx(2 * 2.4e6 * 60 / 8e9)


def test_lists_of_bitrates_are_of_streams_or_of_renditions() -> None:
    mixed = record(streams=3, bitrate="1000k,2000k,3000k", fps=30.0)
    assert work_of(mixed, 8000.0).gigabytes == pytest.approx(6.0)
    ladder = [Output(resolution="1920x1080", fps=30), Output(resolution="640x360", fps=30)]
    both = record(streams=2, bitrate="4000k,1000k", outputs=ladder)
    assert work_of(both, 8000.0).gigabytes == pytest.approx(10.0)
    measured = [RenditionRecord(stream="a", resolution="640x360", fps=30, bitrate="1000k", bitrate_bps=900e3)] * 2
    assert work_of(record(streams=2, bitrate="1000k", renditions=measured), 8000.0).gigabytes == pytest.approx(1.8)


def test_every_rendition_of_a_ladder_has_pixels() -> None:
    ladder = [Output(resolution="1920x1080", fps=30), Output(resolution="640x360", fps=30)]
    assert work_of(record(**TWO, outputs=ladder), 1.0).megapixels == pytest.approx(60 * (2.0736 + 0.2304))


def test_a_rendition_of_half_the_frames_has_half_the_pixels() -> None:
    ladder = [Output(resolution="1920x1080", fps=30), Output(resolution="640x360", fps=15)]
    assert work_of(record(**TWO, outputs=ladder), 1.0).megapixels == pytest.approx(60 * 2.0736 + 30 * 0.2304)


def test_viewers_count_hours_and_gigabytes() -> None:
    work = work_of(record(**TWO, viewers=10), 3600.0)
    assert work.viewer_hours == pytest.approx(20.0)
    assert work.delivered_gigabytes == pytest.approx(10 * 2 * 2.5e6 * 3600 / 8e9)


def test_frames_are_counted_over_the_whole_window() -> None:
    """15 frames a second for 3 s are 45; the first and the last report in the window were 2.5 s apart, with 38."""
    asked = record(streams=1, resolution="640x360", fps=15.0, encoders=[EncoderStatus(stream="a", frames=38, fps=15.0)])
    assert work_of(asked, 3.0).frames == 45.0


def test_viewers_of_every_rendition_of_a_ladder_are_viewers() -> None:
    ladder = [Output(resolution="1280x720", fps=30), Output(resolution="640x360", fps=30)]
    assert work_of(record(**TWO, outputs=ladder, viewers=3), 3600.0).viewer_hours == pytest.approx(2 * 2 * 3)
    counted = work_of(record(**TWO, outputs=ladder, viewers=3, playback=Playback(viewers=12)), 3600.0)
    assert counted.viewer_hours == pytest.approx(12.0)


def test_a_viewer_that_received_nothing_has_not_watched() -> None:
    work = work_of(record(**TWO, viewers=10, pushed=False), 3600.0)
    assert (work.viewer_hours, work.delivered_gigabytes) == (None, None)


def test_an_encoder_that_fell_behind_has_no_efficiency() -> None:
    slow = record(**TWO, realtime=False)
    with pytest.raises(NoData, match="not real time"):
        work_of(slow, 60.0)
    result = analyse(slow, evidence(RAPL), PRICES)
    assert result.efficiency is None
    assert "not real time" in result.reasons["efficiency"]
    assert result.energy_joules == pytest.approx(3000.0)


def test_the_efficiency_of_a_minute_at_50_watts_gross_and_net_of_a_baseline_of_20() -> None:
    idle = record("idle", -60, 0, type="baseline")
    past = line('wattview_host_energy_joules_total{source="rapl"}', 20.0, span=(-70, 5))
    baseline = analyse(idle, evidence(past), PRICES)
    load = analyse(record(**TWO, viewers=5), evidence(RAPL, *CPU), PRICES)
    _, result = compared_with_baseline([baseline, load])
    gross, net = result.efficiency, result.net_efficiency
    assert gross is not None
    assert net is not None
    assert gross.watts_per_stream == pytest.approx(25.0)
    assert gross.joules_per_frame == pytest.approx(3000 / 3600)
    assert gross.joules_per_megapixel == pytest.approx(3000 / (3600 * 0.9216))
    assert gross.joules_per_gigabyte == pytest.approx(80_000.0)
    assert gross.joules_per_viewer_hour == pytest.approx(3000 / (10 / 60))
    # 3000 J x 0.30 x 1.5 / 3.6e6 + 120 s x 0.50 / 3600, over 2/60 stream-hours
    assert gross.cost_per_stream_hour == pytest.approx((0.000375 + 0.0166666667) * 30)
    assert gross.cost_per_viewer_hour == pytest.approx((0.000375 + 0.0166666667) * 6)
    assert gross.carbon_grams_per_stream_hour == pytest.approx(0.5 * 30)
    assert result.net_energy_joules == pytest.approx(1800.0)
    assert net.watts_per_stream == pytest.approx(15.0)
    assert net.joules_per_frame == pytest.approx(0.5)
    assert net.carbon_grams_per_stream_hour == pytest.approx(0.3 * 30)
    assert net.cost_per_stream_hour is None
    assert baseline.efficiency is None
    assert "efficiency" not in baseline.reasons


def test_egress_belongs_to_viewer_cost_and_not_to_the_total() -> None:
    prices = Cost(energy_per_kwh=0.0, cpu_per_hour=0.0, egress_per_gb=0.08)
    result = analyse(record(**TWO, viewers=5), evidence(RAPL, *CPU), prices)
    assert result.cost_total == 0.0
    assert result.cost_egress == pytest.approx(0.0375 * 5 * 0.08)
    assert result.efficiency is not None
    assert result.efficiency.cost_per_viewer_hour == pytest.approx(0.0375 * 5 * 0.08 * 6)


def test_the_software_carbon_intensity_holds_the_machines_making() -> None:
    prices = Cost(carbon_g_per_kwh=360.0, pue=1.0, embodied_kg=1461.0, lifetime_years=4.0)
    result = analyse(record(**TWO), evidence(RAPL, *CPU), prices)
    assert result.efficiency is not None
    # 3000 J is 0.3 g; 1461 kg over 4 years of 365.25 days is 1 kg a day, 0.694444 g a minute; 2/60 stream-hours
    assert result.efficiency.sci_grams_per_stream_hour == pytest.approx((0.3 + 1000 / 1440) * 30)
    unknown = analyse(record(**TWO), evidence(RAPL, *CPU), Cost())
    assert unknown.efficiency is not None
    assert unknown.efficiency.sci_grams_per_stream_hour is None


def test_texts_of_other_programs_cost_their_own_figures() -> None:
    odd = record(streams=1, fps=30.0, bitrate="fast", resolution="HD")
    work = work_of(odd, 10.0)
    assert (work.frames, work.megapixels, work.gigabytes) == (300, None, None)
    for wrong in ("HD", "1280x", "x720", "1280×720"):
        with pytest.raises(ValueError, match="not a resolution"):
            pixels(wrong)
