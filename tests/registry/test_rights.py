"""Proves registry/rights.py: the table is whole, and what must never be one person's is not."""

from registry.rights import ADMINISTRATORS, HELD, HOLDERS, MEANINGS, OF_ENTERPRISES, OF_PROGRAMS, Right, Role


def test_every_right_and_role_is_in_the_table_and_has_its_words():
    assert set(HOLDERS) == set(MEANINGS) == set(Right)
    assert all(HOLDERS.values())
    assert all(zh and en for zh, en in MEANINGS.values())
    assert {role for roles in HOLDERS.values() for role in roles} == set(Role)
    assert len({role.zh for role in Role}) == len(Role)


def test_both_sides_of_the_table_say_the_same():
    for (kind, role), held in HELD.items():
        whole = {right for right in Right if role in HOLDERS[right]}
        assert held == (whole if kind == "person" else whole & OF_PROGRAMS)
    assert len(HELD) == 2 * len(Role)


def test_the_three_administrators_exclude_each_other():
    assert len(ADMINISTRATORS) == 3
    assert not ADMINISTRATORS & OF_ENTERPRISES
    watched = {Right.READ_AUDIT, Right.EXPORT_AUDIT, Right.READ_ACCESS_LOG}
    assert HELD["person", Role.AUDIT_ADMIN] == watched, "who watches does nothing else"
    assert all(HOLDERS[right] == {Role.AUDIT_ADMIN} for right in watched), "and nobody else watches"
    assert HOLDERS[Right.ACCOUNTS] == {Role.SECURITY_ADMIN}, "who runs the node does not say what others may"
    assert Right.REGISTER not in HELD["person", Role.SECURITY_ADMIN]


def test_verifying_and_reviewing_are_different_peoples():
    assert not HOLDERS[Right.VERIFY] & HOLDERS[Right.REVIEW]
    for right in (Right.VERIFY, Right.REVIEW, Right.ACCOUNTS, Right.MEMBERS, Right.READ_AUDIT):
        assert all(right not in HELD["program", role] for role in Role), "people answer for it"


def test_nobody_of_an_enterprise_has_what_is_the_nodes():
    of_node = {Right.VERIFY, Right.REVIEW, Right.FILE, Right.PREFIXES, Right.QUOTAS, Right.OPERATE, Right.ACCOUNTS}
    assert not any(HOLDERS[right] & OF_ENTERPRISES for right in of_node)
    assert HELD["person", Role.ENTERPRISE_USER] < HELD["person", Role.ENTERPRISE_ADMIN]
