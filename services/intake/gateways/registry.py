"""Which gateways there are."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules

from services.intake import gateways
from services.intake.gateways.gateway import Gateway
from shared.runtime.discovery import installed

ENTRY_POINTS = "tocsin.gateways"
"""Name of a gateway = the `Gateway` that another distribution declares."""


class Registry:
    """Gateways, each with a name and routes of its own."""

    def __init__(self, found: Iterable[Gateway]) -> None:
        self._gateways: dict[str, Gateway] = {}
        served: set[tuple[str, str]] = set()
        for gateway in found:
            if gateway.name in self._gateways:
                raise ValueError(f"two gateways are called {gateway.name}")
            for route in gateway.routes:
                if (route.method, route.path) in served:
                    raise ValueError(f"two gateways declare {route.method} {route.path}")
                served.add((route.method, route.path))
            self._gateways[gateway.name] = gateway

    @classmethod
    def discover(cls) -> "Registry":
        """Every module of this package that declares `GATEWAY`, and every entry point of the group
        `tocsin.gateways`.
        """
        modules = (
            import_module(f"{gateways.__name__}.{module.name}")
            for module in iter_modules(gateways.__path__)
        )
        own = [module.GATEWAY for module in modules if hasattr(module, "GATEWAY")]
        return cls([*own, *(entry.load() for entry in installed(ENTRY_POINTS))])

    def __iter__(self) -> Iterator[Gateway]:
        return iter(self._gateways.values())
