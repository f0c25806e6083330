"""A viewer's opinion from what was measured of the picture: ``qoe_score`` on the five-point ACR scale.

VMAF was trained on absolute category ratings, mapped so that *bad* (1) is about 20 and *excellent* (5) is 100 (Netflix,
https://github.com/Netflix/vmaf/blob/master/resource/doc/models.md); between them the scale is taken as linear.
"""

from __future__ import annotations

VMAF_BAD = 20.0
VMAF_EXCELLENT = 100.0


def acr_from_vmaf(vmaf: float) -> float:
    """1 to 5. What lies outside 20 … 100 is the end of the scale."""
    score = 1.0 + 4.0 * (vmaf - VMAF_BAD) / (VMAF_EXCELLENT - VMAF_BAD)
    return min(max(score, 1.0), 5.0)


def qoe(vmaf: float | None) -> tuple[float | None, str]:
    """The score and how it came about; None and the reason where it cannot be had."""
    if vmaf is None:
        return None, "no VMAF was measured"
    return acr_from_vmaf(vmaf), f"VMAF {vmaf:.2f} on the ACR scale (20 is 1, 100 is 5, linear)"
