"""The admin API (being written)."""

from fastapi import APIRouter

from gateway.services import Services


def admin(services: Services) -> APIRouter:
    """Routes under /admin."""
    return APIRouter(prefix="/admin")
