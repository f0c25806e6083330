"""Where the streams of a scenario go on this machine, and the remarks for its results."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from wattview.config import Scenarios
from wattview.daemon.lab.encoding import destination, encoder_options
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.destination import PRIVATE, RTMP, SRT, Destination
from wattview.model import Scenario

NO_PUSH = "not pushed, as configured: the streams were encoded and discarded"
NO_RECEIPT = "delivery over SRT is not verified: SRT drops late packets silently"
NO_RTMP = (
    "not pushed: there is no RTMP server; the streams were encoded and discarded (wattview up starts a server; "
    "streams.rtmp_url names another)"
)
ENHANCED_RTMP = (
    "{codec} needs a server that speaks enhanced RTMP; nginx-rtmp accepts it but forwards nothing to viewers"
)


async def destination_of(
    scenario: Scenario,
    settings: Scenarios,
    server: Callable[[], Awaitable[str | None]],
    capabilities: Capabilities,
) -> tuple[Destination | None, list[str]]:
    """Where the streams go, and remarks on it: to the scenario's target; else to the RTMP server; else, if RTMP
    does not carry the codec with this FFmpeg, to a receiver of our own, or nowhere."""
    if scenario.type != "streams":
        return None, []
    if not scenario.push:
        return None, [NO_PUSH]
    if scenario.target:
        target = destination.target(scenario.target, settings.targets)
        return target, [NO_RECEIPT] if target.transport is SRT else []
    rtmp_url = await server()
    if not rtmp_url:
        return None, [NO_RTMP, *(["there were no viewers: nothing was pushed"] if scenario.viewers else [])]
    codec = encoder_options.codec(scenario.encoder)
    if codec == "h264":
        return destination.server(rtmp_url), []
    reason = await capabilities.why_not_encode(settings.ffmpeg, scenario, RTMP)
    if not reason:
        return destination.server(rtmp_url), [ENHANCED_RTMP.format(codec=codec)]
    lack = f"this FFmpeg does not put {codec} into RTMP's FLV ({reason.partition(' · ')[0]})"
    viewers = ["there were no viewers: no server had the streams"] if scenario.viewers else []
    if await capabilities.why_not_encode(settings.ffmpeg, scenario, SRT):
        return None, [f"not pushed: {lack}, nor into SRT's MPEG-TS; the streams were discarded", *viewers]
    return PRIVATE, [f"pushed over SRT to WattView's own receiver, as {lack}", *viewers]


async def can_stamp(
    scenario: Scenario, to: Destination | None, ffmpeg: str, capabilities: Capabilities
) -> tuple[bool, list[str]]:
    """Whether viewers can note when packets come, and a remark if they cannot."""
    if to is None or not to.watchable or not scenario.viewers:
        return False, []
    if to.transport is not RTMP:
        return False, [f"the end-to-end delay was not measured: {to.transport.name} has time stamps of its own"]
    if await capabilities.can_stamp_arrivals(ffmpeg):
        return True, []
    return False, [f"the end-to-end delay was not measured: {ffmpeg} cannot record when packets arrive"]
