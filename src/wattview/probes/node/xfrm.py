"""Packets rejected by IPsec's transformations, by reason (/proc/net/xfrm_stat).

Documented in Documentation/networking/xfrm_proc.rst.
"""

from __future__ import annotations

from wattview.exposition import Family, counter, rows
from wattview.probes.lines import pairs
from wattview.probes.node.collector import of_file

# Line of /proc/net/xfrm_stat, name, help.
_TABLE = rows("""
XfrmInError in_error  All errors not matched by other
XfrmInBufferError in_buffer_error  No buffer is left
XfrmInHdrError in_hdr_error  Header error
XfrmInNoStates in_no_states  No state is found i.e. Either inbound SPI, address, or IPsec protocol at SA is wrong
XfrmInStateProtoError in_state_proto_error  Transformation protocol specific error e.g. SA key is wrong
XfrmInStateModeError in_state_mode_error  Transformation mode specific error
XfrmInStateSeqError in_state_seq_error  Sequence error i.e. Sequence number is out of window
XfrmInStateExpired in_state_expired  State is expired
XfrmInStateMismatch in_state_mismatch  State has mismatch option e.g. UDP encapsulation type is mismatch
XfrmInStateInvalid in_state_invalid  State is invalid
XfrmInTmplMismatch in_tmpl_mismatch  No matching template for states e.g. Inbound SAs are correct but SP rule is wrong
XfrmInNoPols in_no_pols  No policy is found for states e.g. Inbound SAs are correct but no SP is found
XfrmInPolBlock in_pol_block  Policy discards
XfrmInPolError in_pol_error  Policy error
XfrmOutError out_error  All errors which is not matched others
XfrmOutBundleGenError out_bundle_gen_error  Bundle generation error
XfrmOutBundleCheckError out_bundle_check_error  Bundle check error
XfrmOutNoStates out_no_states  No state is found
XfrmOutStateProtoError out_state_proto_error  Transformation protocol specific error
XfrmOutStateModeError out_state_mode_error  Transformation mode specific error
XfrmOutStateSeqError out_state_seq_error  Sequence error i.e. Sequence number overflow
XfrmOutStateExpired out_state_expired  State is expired
XfrmOutPolBlock out_pol_block  Policy discards
XfrmOutPolDead out_pol_dead  Policy is dead
XfrmOutPolError out_pol_error  Policy error
XfrmFwdHdrError fwd_hdr_error  Forward routing of a packet is not allowed
XfrmOutStateInvalid out_state_invalid  State is invalid, perhaps expired
XfrmAcquireError acquire_error  State hasn’t been fully acquired before use
""")


def xfrm_families(data: bytes) -> list[Family]:
    """The counters of /proc/net/xfrm_stat. Raises ValueError if it has none of them."""
    counts = {key.decode("ascii", "replace"): int(value) for key, value in pairs(data)}
    if not counts.keys() & {line for line, *_ in _TABLE}:
        raise ValueError("xfrm_stat: has none of the expected lines")
    return [counter(f"node_xfrm_{name}_packets_total", help_text, counts.get(line)) for line, name, help_text in _TABLE]


collector = of_file("net/xfrm_stat")(xfrm_families)
"""``node_xfrm_*_packets_total``; no data if the kernel keeps no such statistics."""
