"""Result tags: class, ending, Squid's own hits, and who was asked."""

import pytest

from frontierlab.rawlogs.squid.results import CLASSES, read_result


@pytest.mark.parametrize(
    ("tag", "hierarchy", "class_", "ending", "squid_hit", "sent_on"),
    [
        ("TCP_MEM_HIT", "HIER_NONE", "hit", None, True, False),
        ("TCP_HIT", "NONE", "hit", None, True, False),
        ("TCP_IMS_HIT", "HIER_NONE", "hit", None, True, False),
        ("TCP_NEGATIVE_HIT", "HIER_NONE", "negative hit", None, True, False),
        ("TCP_REFRESH_UNMODIFIED", "HIER_DIRECT", "revalidated", None, True, True),
        ("TCP_REFRESH_HIT", "DIRECT", "revalidated", None, True, True),
        ("TCP_REFRESH_MODIFIED", "HIER_DIRECT", "replaced", None, False, True),
        ("TCP_REFRESH_MISS", "DIRECT", "replaced", None, False, True),
        ("TCP_REFRESH_FAIL_OLD", "HIER_DIRECT", "stale", None, True, True),
        ("TCP_STALE_HIT", "NONE", "stale", None, False, False),
        ("TCP_REFRESH_FAIL_ERR", "HIER_DIRECT", "failed", None, False, True),
        ("TCP_CLIENT_REFRESH_MISS", "HIER_DIRECT", "forced", None, False, True),
        ("TCP_SWAPFAIL_MISS", "FIRSTUP_PARENT", "miss", None, False, True),
        ("TCP_MISS_ABORTED", "HIER_DIRECT", "miss", "aborted", False, True),
        ("TCP_MISS_TIMEDOUT", "TIMEOUT_HIER_NONE", "miss", "timed out", False, False),
        ("TCP_REFRESH_UNMODIFIED_IGNORED", "HIER_DIRECT", "revalidated", "ignored", True, True),
        ("TCP_DENIED_REPLY", "HIER_NONE", "denied", None, False, False),
        ("NONE_NONE", "HIER_NONE", "none", None, False, False),
        ("NONE", "-", "none", None, False, False),
        ("TCP_TUNNEL", "HIER_DIRECT", "tunnel", None, False, True),
        ("TCP_BRAND_NEW", "HIER_DIRECT", "unknown", None, False, True),
        ("what?", "HIER_NONE", "unknown", None, False, False),
    ],
)
def test_a_tag_has_a_class(
    tag: str, hierarchy: str, class_: str, ending: str | None, squid_hit: bool, sent_on: bool
) -> None:
    found = read_result(tag, hierarchy)
    assert found.result == tag
    assert (found.result_class, found.ending, found.squid_hit, found.sent_on) == (class_, ending, squid_hit, sent_on)


def test_collapsed_requests_and_peers_are_told() -> None:
    found = read_result("TCP_CF_HIT", "FIRSTUP_PARENT/proxy.example.org")
    assert (found.result_class, found.collapsed, found.peer) == ("hit", True, "proxy.example.org")
    assert read_result("TCP_HIT", "HIER_NONE/-").peer is None


def test_no_tag_is_in_two_classes() -> None:
    names = [name for names in CLASSES.values() for name in names]
    assert len(names) == len(set(names))
    assert all(
        read_result(f"TCP_{name}", "NONE").result_class == class_ for class_, all_ in CLASSES.items() for name in all_
    )
