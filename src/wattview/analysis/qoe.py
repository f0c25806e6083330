"""A viewer's opinion from the measured picture and playback: ``qoe_score``, 1 to 5 on the ACR scale.

VMAF was trained on absolute category ratings, mapped so that *bad* (1) is about 20 and *excellent* (5) is 100 (Netflix,
https://github.com/Netflix/vmaf/blob/master/resource/doc/models.md); the scale is taken as linear in between. If viewers
watched, the part above 1 is lowered by the stalling term of ITU-T P.1203.3 (10/2017), clause 8.4.
"""

from __future__ import annotations

import math

from wattview.model import Playback
from wattview.model.quantities import counted

VMAF_BAD = 20.0
VMAF_EXCELLENT = 100.0

# P.1203.3's coefficients for stalls: their number, the time stalled, the time between them.
_S1, _S2, _S3 = 9.35158684, 0.91890815, 11.0567558


def acr_from_vmaf(vmaf: float) -> float:
    """1 to 5. VMAF outside of 20 … 100 gives the end of the scale."""
    score = 1.0 + 4.0 * (vmaf - VMAF_BAD) / (VMAF_EXCELLENT - VMAF_BAD)
    return min(max(score, 1.0), 5.0)


def seen(playback: Playback) -> str:
    """The viewers' playback in words, as far as it is known."""
    count = counted(playback.viewers, "viewer")
    found = []
    if playback.start_delay_seconds is not None:
        found.append(f"first picture after {playback.start_delay_seconds:.2f} s")
    if playback.stalls is not None:
        waited = f" of {playback.stalled_seconds or 0.0:.1f} s" if playback.stalls else ""
        found.append(f"{playback.stalls or 'no'} stall{'s' if playback.stalls != 1 else ''}{waited}")
    if playback.received_frames_ratio is not None:
        found.append(f"{100 * playback.received_frames_ratio:.1f} % of the frames")
    if playback.end_to_end_delay_seconds is not None:
        few = playback.end_to_end_delay_percentile_95_seconds
        most = playback.end_to_end_delay_max_seconds
        found.append(
            f"{playback.end_to_end_delay_seconds:.3f} s behind the source"
            + (f" (95 % within {few:.3f} s, all within {most:.3f} s)" if few is not None and most is not None else "")
        )
    return f"{count}: {', '.join(found) or 'playback unknown'}"


def stalling_impact(stalls: float, waited_seconds: float, seconds: float) -> float:
    """Factor by which stalls lower an opinion; 1 without stalls (equation 29).

    ``stalls`` and ``waited_seconds`` are one viewer's, or the mean viewer's, over ``seconds`` of playback. The time of
    each stall is not recorded: stalls are assumed evenly spread, with the full weight that the Recommendation gives
    them near the end, so the factor is on the pessimistic side.
    """
    if not stalls > 0 or not seconds > 0:
        return 1.0
    apart = seconds / stalls if stalls > 1 else 0.0
    return math.exp(-stalls / _S1 - waited_seconds / seconds / _S2 - apart / seconds / _S3)


def qoe(vmaf: float | None, playback: Playback | None = None, seconds: float | None = None) -> tuple[float | None, str]:
    """The score and how it was computed; None and the reason if there is none.

    Without viewers the score is of the picture alone, and says so.
    """
    if vmaf is None:
        return None, "no VMAF was measured"
    score = acr_from_vmaf(vmaf)
    method = f"VMAF {vmaf:.2f} on the ACR scale (20 is 1, 100 is 5, linear)"
    if playback is None or not playback.viewers or playback.stalls is None or not seconds:
        return score, f"{method}; stalls were not measured"
    stalls, waited = playback.stalls / playback.viewers, (playback.stalled_seconds or 0.0) / playback.viewers
    factor = stalling_impact(stalls, waited, seconds)
    return 1.0 + (score - 1.0) * factor, (
        f"{method}; the part above 1 multiplied by {factor:.3f} for {stalls:.3g} stalls, {waited:.1f} s in all,"
        " per viewer (ITU-T P.1203.3)"
    )
