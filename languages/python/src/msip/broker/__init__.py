"""One connection to a broker for many clients. Imported by those who need it alone."""

from __future__ import annotations

from msip.broker.broker_connection import BrokerConnection

__all__ = ["BrokerConnection"]
