"""aurora_db: documents, event handlers and durable jobs in one file and one transaction."""

from __future__ import annotations
