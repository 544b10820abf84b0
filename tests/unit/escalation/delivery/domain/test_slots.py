"""How many pages go to one receiver at a time."""

from services.escalation.delivery.domain.slots import (
    MAX_IN_FLIGHT,
    MIN_IN_FLIGHT,
    SLOTS,
    SLOW_IN_FLIGHT,
    Slots,
)

ANA, BEN = ("ana", "webhook"), ("ben", "email")


def answered(slots: Slots, *, arrived: bool = True, quick: bool = True) -> int:
    """The capacity of Ana after one more page to her."""
    slots.take(ANA)
    slots.give_back(ANA, arrived=arrived, quick=quick)
    return slots.capacity()[ANA]


def test_a_receiver_that_is_not_known_has_no_entry_until_a_page_is_on_its_way() -> None:
    slots = Slots()
    assert (slots.capacity(), slots.free) == ({}, SLOTS)
    slots.take(ANA)
    assert (slots.capacity(), slots.free) == ({ANA: MIN_IN_FLIGHT - 1}, SLOTS - 1)


def test_each_quick_success_adds_one_up_to_the_most() -> None:
    slots = Slots()
    seen = [answered(slots) for _ in range(MAX_IN_FLIGHT + 2)]
    assert seen == [*range(MIN_IN_FLIGHT + 1, MAX_IN_FLIGHT + 1), *[MAX_IN_FLIGHT] * 3]


def test_a_slow_success_and_a_failure_set_the_capacity_back() -> None:
    slots = Slots()
    for _ in range(20):
        answered(slots)
    assert answered(slots, quick=False) == SLOW_IN_FLIGHT
    assert answered(slots) == SLOW_IN_FLIGHT + 1
    assert answered(slots, arrived=False) == MIN_IN_FLIGHT
    assert answered(slots, arrived=False, quick=False) == MIN_IN_FLIGHT
    assert answered(slots, quick=False) == SLOW_IN_FLIGHT, "a slow answer is better than none"


def test_pages_on_their_way_take_from_the_capacity_and_never_below_nothing() -> None:
    slots = Slots()
    for _ in range(3):
        answered(slots)
    for _ in range(3):
        slots.take(ANA)
    slots.take(BEN)
    assert slots.capacity() == {ANA: MIN_IN_FLIGHT, BEN: 0}
    slots.give_back(ANA, arrived=False, quick=True)
    assert slots.capacity()[ANA] == 0, "two are still on their way, and the limit is one"
    assert slots.free == SLOTS - 3
