"""The routes of all gateways, and their OpenAPI."""

from services.intake.gateways.http.description import describe
from services.intake.gateways.http.routes import Services, make_router

__all__ = ["Services", "describe", "make_router"]
