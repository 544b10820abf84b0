"""File descriptors: without a free one a process can neither reach its database nor read a file."""

import resource

_RESERVE = 256
"""For pools, Kafka, outgoing requests and files."""
_LARGEST = 1_000_000
_MOST_CONNECTIONS = 10_000
"""More would take more memory than a service is given; more replicas take more connections."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one. Returns the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _LARGEST if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):  # the system allows less than it states
            pass
    return _LARGEST if soft == resource.RLIM_INFINITY else soft


def connections_within(descriptors: int) -> int:
    """How many HTTP connections to take, so that enough descriptors are left for everything else.
    Where there are few, a quarter of them is reserved.
    """
    return min(descriptors - min(_RESERVE, descriptors // 4), _MOST_CONNECTIONS)
