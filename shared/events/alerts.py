"""The alerts that an incident consists of, in words for people."""


def count_alerts(total: int, unlisted: int, shown: int) -> str | None:
    """`800 alerts, 3 of them:` before the `shown` ones; None for an incident of one alert, which
    says no more than the incident does. `unlisted` are those that the sender left out.
    """
    if total + unlisted <= 1:
        return None
    counted = f"{total} alert{'' if total == 1 else 's'}"
    if unlisted:
        counted += f" and {unlisted} that its sender did not list"
    if not shown:
        return counted
    return f"{counted}:" if shown == total + unlisted else f"{counted}, {shown} of them:"
