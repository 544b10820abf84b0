"""Who is admitted when places are few, and who gives way."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from shared.http.admission import Admission
from shared.http.network import parse_networks


@dataclass(eq=False)
class Caller:
    """A connection from an address."""

    admission: Admission
    address: str
    closed: bool = False

    def comes(self) -> bool:
        return self.admission.admit(self, self.address)

    def give_way(self) -> None:
        self.closed = True
        self.admission.leave(self)


def arrive(admission: Admission, *addresses: str) -> list[Caller]:
    callers = [Caller(admission, address) for address in addresses]
    assert all(caller.comes() for caller in callers)
    return callers


def test_who_has_waited_for_the_longest_gives_way_to_a_newcomer() -> None:
    admission = Admission(3)
    first, second, third = arrive(admission, "192.0.2.1", "192.0.2.2", "192.0.2.3")
    admission.works(first)
    admission.waits(first)  # it was answered meanwhile, so the second has waited for longer
    arrive(admission, "192.0.2.4")
    assert [one.closed for one in (first, second, third)] == [False, True, False]


def test_who_is_being_answered_never_gives_way() -> None:
    admission = Admission(2)
    callers = arrive(admission, "192.0.2.1", "192.0.2.2")
    for caller in callers:
        admission.works(caller)
    assert not Caller(admission, "192.0.2.3").comes()
    assert not any(caller.closed for caller in callers)
    admission.leave(callers[0])
    arrive(admission, "192.0.2.3")


def test_a_client_takes_no_place_of_others() -> None:
    admission = Admission(100, most_of_client=2)
    (other,) = arrive(admission, "192.0.2.9")
    crowd = arrive(admission, *["192.0.2.1"] * 5)
    assert [one.closed for one in crowd] == [True, True, True, False, False]
    assert not other.closed
    for caller in crowd[3:]:
        admission.works(caller)
    assert not Caller(admission, "192.0.2.1").comes()
    arrive(admission, "192.0.2.2")


def test_a_client_is_an_ipv4_address_or_a_network_of_ipv6() -> None:
    admission = Admission(100, most_of_client=1)
    arrive(admission, "192.0.2.1", "192.0.2.2")
    first, second = arrive(admission, "2001:db8::1", "2001:db8::2")
    assert (first.closed, second.closed) == (True, False)
    arrive(admission, "2001:db8:0:1::1")
    assert not second.closed


def test_a_proxy_has_no_bound_of_its_own() -> None:
    admission = Admission(5, most_of_client=1, proxies=parse_networks("192.0.2.0/24, fd00::/8"))
    callers = arrive(admission, *["192.0.2.1"] * 2, "fd00::1", "fd00::1", "::ffff:192.0.2.1")
    assert not any(caller.closed for caller in callers)
    arrive(admission, "192.0.2.1")
    assert callers[0].closed  # the whole is bounded nevertheless


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 9))))
def test_the_bounds_hold_and_nothing_is_kept_of_who_has_left(
    steps: list[tuple[int, int, int]],
) -> None:
    admission = Admission(4, most_of_client=2)
    open_ones: list[Caller] = []
    for step, address, which in steps:
        caller = open_ones[which % len(open_ones)] if open_ones else None
        if step == 0 or caller is None:
            newcomer = Caller(admission, f"192.0.2.{address}")
            open_ones += [newcomer] if newcomer.comes() else []
        else:
            (admission.works, admission.waits, admission.leave)[step - 1](caller)
            open_ones = [one for one in open_ones if step != 3 or one is not caller]
        open_ones = [one for one in open_ones if not one.closed]
        of_client = [sum(one.address == f"192.0.2.{n}" for one in open_ones) for n in range(4)]
        assert len(open_ones) <= 4
        assert max(of_client) <= 2
    for caller in open_ones:
        admission.leave(caller)
        admission.leave(caller)
    assert (admission._open, admission._clients, admission._all.size) == ({}, {}, 0)
    assert not admission._all.waiting
