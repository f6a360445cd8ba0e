"""Proposals as versions before 2 stored them: sentences in place of reasons, and a digest over these. Pure.

They stay readable and acceptable, under the digest that decisions refer to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refine.analysis.reason import Reason
from refine.space.encoding import digest


def digest_of(content: Mapping[str, Any]) -> str:
    """The digest of a proposal of version 1.

    Args:
        content: Its JSON, as it is stored.
    """
    rest = {name: value for name, value in content.items() if name not in ("offers", "advice")}
    changes = [{name: v for name, v in change.items() if name != "risk"} for change in content["changes"]]
    return digest({**rest, "changes": changes}, 16)


def upgraded(content: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of version 2 for that of version 1; the earliest have no risks, offers or advice."""
    claim = {name: content[name] for name in ("epsilon", "epsilon_source")}
    same = {name: content[name] for name in ("old", "space", "risk", "n", "evidence", "metric")}
    advice = content.get("advice")
    return {
        **same,
        "volume_kept": content["kept"],
        "claim": {**claim, "probability": content["retention"], "draws": 0},
        "changes": [_change(change) for change in content["changes"]],
        "offers": [_offer(offer) for offer in content.get("offers", ())],
        "advice": None if advice is None else {**advice, "reason": _said(advice["reason"])},
    }


def _said(sentence: str) -> dict[str, Any]:
    return Reason("text", {"text": sentence}).to_json()


def _change(content: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: content[name] for name in ("name", "kind", "q")}
    reasons = [_said(content["reason"])]
    return {**same, "volume_kept": content["kept"], "risk": content.get("risk"), "reasons": reasons}


def _offer(content: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: content[name] for name in ("name", "value", "saving")}
    return {**same, "probability": content["retention"], "reason": _said(content["reason"])}
